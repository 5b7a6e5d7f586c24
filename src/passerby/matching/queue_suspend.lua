#!lua
-- Suspend a ticket: nobody finds it, and it can be recalled for a time.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases, KEYS[4] places: as in queue_enter.lua
--
-- ARGV[1] the guest's id
-- ARGV[2] the ticket
-- ARGV[3] milliseconds that it can be recalled
-- ARGV[4] milliseconds after the end of a lease that a ticket can be recalled
-- ARGV[5] milliseconds that the keys are kept at least
--
-- Returns 1, or 0 if the guest waits with another ticket, which stays

local tickets, waiting, leases, places = unpack(KEYS, 1, 4)
local guest = ARGV[1]
if redis.call('SISMEMBER', waiting, guest) == 1 and redis.call('HGET', tickets, guest) ~= ARGV[2] then
    return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SREM', waiting, guest)
leave(places, guest)
redis.call('HSET', tickets, guest, ARGV[2])
redis.call('ZADD', leases, now + ARGV[3] - ARGV[4], guest)
local least = math.max(tonumber(ARGV[3]), tonumber(ARGV[5]))
for _, key in ipairs({tickets, leases}) do
    if redis.call('PTTL', key) < least then
        redis.call('PEXPIRE', key, 2 * least)
    end
end
return 1
