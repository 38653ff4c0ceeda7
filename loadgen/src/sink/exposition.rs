//! A `/metrics` listener.
