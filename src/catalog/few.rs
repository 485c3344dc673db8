//! A list that nearly always has one value, which then needs no allocation of its own.

use std::ops::{Deref, DerefMut};

/// Any number of values.
#[derive(Debug, Clone)]
pub enum Few<T> {
    /// One.
    One(T),
    /// Any other number.
    Many(Box<[T]>),
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::Many(Box::default())
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::One(value) => std::slice::from_ref(value),
            Few::Many(values) => values,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::One(value) => std::slice::from_mut(value),
            Few::Many(values) => values,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut values: Vec<T>) -> Few<T> {
        match (values.len(), values.pop()) {
            (1, Some(value)) => Few::One(value),
            (_, last) => {
                values.extend(last);
                Few::Many(values.into())
            }
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Few<T> {
        values.into_iter().collect::<Vec<T>>().into()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> std::slice::Iter<'a, T> {
        self.iter()
    }
}
