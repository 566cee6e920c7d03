// make_world DIRECTORY LIGHTHOUSES: an invented world in the documented shapes
// (docs/formats/facts.md), for measuring the whole line on something that is not the Factbook
// (docs/results.md).
#include "tests/support/tiny_world.h"

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  const int lighthouses = argc == 3 ? std::atoi(argv[2]) : 0;
  if (lighthouses < 4 || lighthouses > 160) {
    std::cerr << "usage: make_world DIRECTORY LIGHTHOUSES (4 to 160)\n";
    return 2;
  }
  errata::testing_support::write_tiny_world(argv[1], lighthouses);
  return 0;
}
