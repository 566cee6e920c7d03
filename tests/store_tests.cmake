errata_add_tests(store LIBRARIES errata::store SOURCES
  editing/store/factbook_import_test.cpp)
