/// What is known of the proxies.
mod board;
/// Who is let in, over a real connection.
mod door;
