-- A store of schema version 1, for the migration test: two messages, the second with a key.
CREATE TABLE epochs(seq INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, last INTEGER NOT NULL);
CREATE TABLE channels(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last INTEGER NOT NULL,
  floor INTEGER NOT NULL DEFAULT 0, floor_time INTEGER);
CREATE INDEX channels_last ON channels(last);
CREATE TABLE messages(offset INTEGER PRIMARY KEY, channel INTEGER NOT NULL, prev INTEGER, time INTEGER NOT NULL,
  from_id TEXT NOT NULL, from_name TEXT NOT NULL, kind INTEGER NOT NULL, key TEXT,
  encoding INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX messages_channel ON messages(channel, offset);
CREATE TABLE keys(channel INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, offset INTEGER NOT NULL,
  digest BLOB NOT NULL, PRIMARY KEY(channel, key)) WITHOUT ROWID;
CREATE INDEX keys_at ON keys(at);
PRAGMA user_version=1;
INSERT INTO epochs(epoch, last) VALUES ('k3x9ab', 2);
INSERT INTO channels(id, name, last) VALUES (1, 'a', 2);
INSERT INTO messages VALUES (1, 1, NULL, 1795000000000, 'p1', 'test', 1, NULL, 0, CAST('one' AS BLOB));
INSERT INTO messages VALUES (2, 1, 1, 1795000000001, 'p1', 'test', 1, 'k', 0, CAST('two' AS BLOB));
INSERT INTO keys VALUES (1, 'k', 1795000000001, 2, x'eb29951f3bb00a28ad291ff93726328e78efdc9b6f52e5b6a2bb60526abc64f2');
