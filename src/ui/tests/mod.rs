mod acting;
mod frames;
mod looking;
mod pictures;
mod safety;
