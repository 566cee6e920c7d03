#include "editing/locate/closed_form.h"

#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

namespace errata::editing {
namespace {

using testing_support::expect_error;

// The authors' values are in goldens_test.cpp; here are the properties that define each update.
class ClosedFormTest : public testing_support::SeedingTest {
 protected:
  static torch::Tensor random(torch::IntArrayRef sizes) {
    return torch::randn(sizes, torch::kFloat64);
  }
  static torch::Tensor moment(std::int64_t in, std::int64_t samples) {
    const torch::Tensor x = random({samples, in});
    return x.t().mm(x) / static_cast<double>(samples);
  }
};

TEST_F(ClosedFormTest, RomeGivesTheKeyItsValueAtTheLeastCost) {
  const torch::Tensor c = moment(7, 50);
  const torch::Tensor key = random({7});
  const torch::Tensor residual = random({4});
  const torch::Tensor update = rome_update(key, key, residual, c);
  EXPECT_TRUE(torch::allclose(update.mv(key), residual, 1e-9, 1e-9));
  // Another change that does the same disturbs the inputs that C stands for more.
  const auto cost = [&](const torch::Tensor& change) {
    return change.mm(c).mul(change).sum().item<double>();
  };
  for (int i = 0; i < 20; ++i) {
    const torch::Tensor noise = random({4, 7});
    const torch::Tensor neutral = noise - torch::outer(noise.mv(key), key) / key.dot(key);
    EXPECT_LT(cost(update), cost(update + 0.1 * neutral));
  }
  EXPECT_TRUE(torch::allclose(
      rome_update(key, key, residual, {}), torch::outer(residual, key) / key.dot(key)));
}

TEST_F(ClosedFormTest, RomeRefusesAKeyOfAnotherDirection) {
  const torch::Tensor key = torch::tensor({1.0, 0.0}, torch::kFloat64);
  const torch::Tensor mean = torch::tensor({0.0, 1.0}, torch::kFloat64);
  expect_error(ErrorCode::kUnsupported, {"blow up", "another layer"}, [&] {
    rome_update(key, mean, random({3}), {});
  });
}

// weight D C = (R - D K) K^T: the derivative of its least squares is zero.
TEST_F(ClosedFormTest, MemitSolvesItsLeastSquares) {
  const torch::Tensor c = moment(9, 60);
  const torch::Tensor keys = random({9, 4});
  const torch::Tensor residual = random({5, 4});
  const torch::Tensor update = memit_update(keys, residual, c, 0.3);
  EXPECT_TRUE(
      torch::allclose(0.3 * update.mm(c), (residual - update.mm(keys)).mm(keys.t()), 1e-9, 1e-9));
}

TEST_F(ClosedFormTest, StatisticsOfTooFewTokensAreRefused) {
  const torch::Tensor x = random({2, 9}).select(0, 0).unsqueeze(0);
  const torch::Tensor zero = torch::zeros({9, 9}, torch::kFloat64);
  expect_error(ErrorCode::kUnsupported, {"singular", "more text"}, [&] {
    memit_update(x.t(), random({5, 1}), zero, 1);
  });
}

// As the paper writes it, with the projector and a system that is not symmetric.
TEST_F(ClosedFormTest, AlphaEditIsThePapersSystem) {
  const torch::Tensor c = moment(8, 5); // three directions without any input
  const torch::Tensor basis = null_basis(c, 0.4);
  ASSERT_GE(basis.size(1), 3);
  ASSERT_LT(basis.size(1), 8);
  const torch::Tensor one = torch::eye(basis.size(1), torch::kFloat64);
  EXPECT_TRUE(torch::allclose(basis.t().mm(basis), one, 1e-9, 1e-9));
  const torch::Tensor p = basis.mm(basis.t());
  const torch::Tensor keys = random({8, 4});
  const torch::Tensor residual = random({5, 4});
  const torch::Tensor old = random({8, 6});
  for (const torch::Tensor& earlier : {torch::Tensor(), old.mm(old.t())}) {
    const torch::Tensor update = alphaedit_update(keys, residual, basis, earlier, 0.2);
    const torch::Tensor sum = earlier.defined() ? keys.mm(keys.t()) + earlier : keys.mm(keys.t());
    const torch::Tensor system = p.mm(sum) + 0.2 * torch::eye(8, torch::kFloat64);
    const torch::Tensor expected =
        torch::linalg_solve(system, p.mm(keys).mm(residual.t()), /*left=*/true).t();
    EXPECT_TRUE(torch::allclose(update, expected, 1e-9, 1e-9));
    EXPECT_TRUE(torch::allclose(update.mm(p), update, 1e-9, 1e-9));
  }
}

} // namespace
} // namespace errata::editing
