#pragma once

// For the .cpp files of this folder: making a store's file.

#include "editing/store/database.h"
#include "editing/store/edit_store.h"

#include <filesystem>
#include <functional>

namespace errata::editing {

/// `StoreOptions::max_pages`.
void limit_pages(Database& database, std::int64_t pages);

/// Makes a new file beside `path`, has `fill` write it, and puts it in its place: a store is there
/// complete or not at all. `kInvalidArgument` when `path` exists, `kNotFound` without its folder.
void make_store_file(
    const std::filesystem::path& path,
    const StoreOptions& options,
    const std::function<void(Database&)>& fill);

} // namespace errata::editing
