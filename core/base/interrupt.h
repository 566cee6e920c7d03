#pragma once

namespace errata {

/// Makes SIGINT and SIGTERM set a flag instead of ending the process. A second signal ends it at
/// once. Only the program calls this.
void install_interrupt_handler();

/// True once the user asked to stop. Long loops look at it between units of work, save their state
/// and throw `ErrorCode::kInterrupted`.
bool interrupted() noexcept;

/// Sets or clears the flag (tests; a program that goes on after a stop).
void set_interrupted(bool value) noexcept;

} // namespace errata
