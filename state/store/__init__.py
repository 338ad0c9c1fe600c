"""The jobs in SQLite. One thread owns the connection; everybody else gets futures."""
