//! All metrics in one table, and logging.
