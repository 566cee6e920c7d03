#include "core/device.h"

#include "core/version.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;

TEST(DeviceTest, ParsesNames) {
  EXPECT_TRUE(parse_device("cpu").is_cpu());
  for (const char* bad : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:999"}) {
    expect_error(ErrorCode::kInvalidArgument, {"cuda:N"}, [&] { parse_device(bad); });
  }
  if (!torch::cuda::is_available()) {
    expect_error(ErrorCode::kUnsupported, {"cuda", "--device cpu"}, [] { parse_device("cuda"); });
    expect_error(ErrorCode::kUnsupported, {"cuda:3"}, [] { parse_device("cuda:3"); });
  }
}

TEST(DeviceTest, ParsesDevices_CUDA) {
  EXPECT_EQ(parse_device("cuda:0"), torch::Device(torch::kCUDA, 0));
  expect_error(ErrorCode::kUnsupported, {"cuda:120"}, [] { parse_device("cuda:120"); });
}

TEST(DeviceTest, ParsesDtypes) {
  EXPECT_EQ(parse_dtype("float32", torch::kCPU), torch::kFloat32);
  EXPECT_EQ(parse_dtype("bfloat16", torch::kCPU), torch::kBFloat16);
  EXPECT_EQ(
      parse_dtype("auto", torch::kCPU), cpu_has_bfloat16() ? torch::kBFloat16 : torch::kFloat32);
  expect_error(ErrorCode::kInvalidArgument, {"fp8"}, [] { parse_dtype("fp8", torch::kCPU); });
  EXPECT_EQ(dtype_name(torch::kBFloat16), "bfloat16");
}

TEST(DeviceTest, SetsThreads) {
  const int before = at::get_num_threads();
  configure_runtime(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  configure_runtime(0);
  EXPECT_EQ(at::get_num_threads(), 1);
  at::set_num_threads(before);
}

TEST(VersionTest, NamesEveryPart) {
  const BuildInfo& build = build_info();
  for (const std::string& part : {build.version, build.commit, build.libtorch, build.build_type}) {
    EXPECT_FALSE(part.empty());
    EXPECT_NE(version_text().find(part), std::string::npos) << part;
  }
  EXPECT_EQ(TORCH_VERSION, build.libtorch);
}

} // namespace
} // namespace errata
