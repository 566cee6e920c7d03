errata_add_tests(training TORCH LIBRARIES errata::core SOURCES
  core/batch_plan_test.cpp
  core/label_loss_test.cpp
  core/optimizer_test.cpp
  core/schedule_test.cpp
  core/train_pass_test.cpp
  core/trainer_kill_test.cpp
  core/trainer_test.cpp)
