#!lua
-- Remove tickets that can no longer be recalled: their processes are gone, or the guests did not come back.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases, KEYS[4] places: as in queue_enter.lua
--
-- ARGV[1] milliseconds after the end of a lease that a ticket can be recalled
-- ARGV[2] how many are removed at most
--
-- Returns how many were removed

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local old = redis.call('ZRANGE', KEYS[3], '-inf', now - ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, guest in ipairs(old) do
    leave(KEYS[4], guest)
end
if #old > 0 then
    redis.call('HDEL', KEYS[1], unpack(old))
    redis.call('SREM', KEYS[2], unpack(old))
    redis.call('ZREM', KEYS[3], unpack(old))
end
return #old
