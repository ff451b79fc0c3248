//! Notifications as Argo CD's users configure them: who is told what of an application, and when.
//!
//! **In:** the configuration, an application as it stands, what was told already. **Out:** what is to be told, as a
//! request or a mail. **May not:** do I/O or read a clock: `run::alerts` sends, and remembers.
//!
//! Read [`when`] (the language of conditions).

pub mod when;
