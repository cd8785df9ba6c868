//! Everything that the language can say, called through the clients that it generates.

mod contract;
mod hygiene;
mod interceptors;
mod schemas;
mod shapes;
mod streams;
