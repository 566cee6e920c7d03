# It waits for the disk thousands of times, and kills processes that do.
errata_add_tests(store TIMEOUT 900 LIBRARIES errata::store SOURCES
  editing/store/edit_store_test.cpp
  editing/store/factbook_import_test.cpp
  editing/store/import_test.cpp
  editing/store/migration_test.cpp
  editing/store/model_test.cpp
  editing/store/store_damage_test.cpp
  editing/store/store_diff_test.cpp
  editing/store/store_durability_test.cpp
  editing/store/store_hostile_test.cpp)
# Some tests break a store from outside, with SQLite itself.
target_link_libraries(store_tests PRIVATE sqlite3)
