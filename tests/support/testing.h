#pragma once

// The precompiled header of the test programs that use LibTorch.
#include "core/torch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
