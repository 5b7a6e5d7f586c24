#!lua
-- Lists a session until it expires.
--
-- KEYS[1] sessions  sorted set: session id by expiry, in seconds since the Unix epoch of the server's clock
--
-- ARGV[1] the session's id
-- ARGV[2] seconds until it expires
-- ARGV[3] seconds that the list is kept at least

local clock = redis.call('TIME')
local expiry = clock[1] + clock[2] / 1000000 + ARGV[2]
if type(redis.pcall('ZADD', KEYS[1], expiry, ARGV[1])) == 'table' then -- an error: it is no sorted set
    redis.call('DEL', KEYS[1])
    redis.call('ZADD', KEYS[1], expiry, ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
