#!lua
-- Lists a session until it expires.
--
-- KEYS[1] sessions  sorted set: session id by expiry, in seconds since the Unix epoch of the server's clock
--
-- ARGV[1] the session's id
-- ARGV[2] seconds until it expires
-- ARGV[3] seconds that the list is kept at least

local clock = redis.call('TIME')
redis.call('ZADD', KEYS[1], clock[1] + clock[2] / 1000000 + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
