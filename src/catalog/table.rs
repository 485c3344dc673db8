//! A persistent hash table.
