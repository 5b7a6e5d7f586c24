#!lua
-- Lists a node, and drops those that have not been listed for long.
--
-- KEYS[1] nodes  sorted set: id by the time until which it is listed, in seconds since the Unix epoch of the server's clock
--
-- ARGV[1] the node's id
-- ARGV[2] seconds that it is listed; also how long the list is kept

local clock = redis.call('TIME')
if type(redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', clock[1])) == 'table' then -- an error: it is no sorted set
    redis.call('DEL', KEYS[1])
end
redis.call('ZADD', KEYS[1], clock[1] + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
