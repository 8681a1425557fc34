"""A study's rows in a store that other studies share: a server's database, a SQLite file, a journal; and moving between them."""
