#!lua
-- Renews the lease of a node, and lists all leases.
-- KEYS[1]  sorted set of nodes, by when their lease ends (ms)
-- ARGV[1]  the node, and its version
-- ARGV[2]  ms that its lease lasts
-- Returns the nodes whose lease has not ended, each followed by the ms that it lasts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then
  redis.call('DEL', KEYS[1])
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do
  found[i] = found[i] - now
end
return found
