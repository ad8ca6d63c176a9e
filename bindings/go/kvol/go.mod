module kvol.local/kvol

go 1.23
