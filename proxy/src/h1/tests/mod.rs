mod heads;
mod messages;
mod pieces;
