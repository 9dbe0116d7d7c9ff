#!/usr/bin/env bash
# sqlite3: tables, indices, a recursive query, the write-ahead log, a dump.
set -eu
sqlite3 base.db <<'SQL'
PRAGMA journal_mode=WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, size INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO item SELECT i, printf('item %d', i), i * 37 % 1000 FROM n;
CREATE INDEX by_size ON item(size, name);
SELECT size, count(*), max(name) FROM item GROUP BY size ORDER BY 2 DESC, 1 LIMIT 3;
DELETE FROM item WHERE size % 3 = 0;
PRAGMA integrity_check;
SQL
sqlite3 base.db 'VACUUM; SELECT count(*), sum(length(name)) FROM item'
sqlite3 base.db .dump | sha256sum
sqlite3 base.db 'SELECT nothing FROM nowhere' || echo "refused: $?"
