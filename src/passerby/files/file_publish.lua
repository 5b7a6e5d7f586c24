-- Makes a file visible. It may run again.
-- KEYS[1]  hash: the file's metadata, each field as JSON
-- ARGV[1]  milliseconds until it expires
-- ARGV[2…] fields and their values
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
