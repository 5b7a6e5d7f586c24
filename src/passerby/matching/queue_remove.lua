#!lua
-- Remove tickets whose searches have ended.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases, KEYS[4] places: as in queue_enter.lua
-- KEYS[5…] the claim of each ticket
--
-- ARGV[1…] of each ticket: the guest's id, the ticket
--
-- Returns how many of them waited. If a guest's ticket is another one by now, it stays.

local tickets, waiting, leases, places = unpack(KEYS, 1, 4)
local waited = 0
for place = 1, #ARGV, 2 do
    local guest = ARGV[place]
    if redis.call('HGET', tickets, guest) == ARGV[place + 1] then
        leave(places, guest)
        redis.call('HDEL', tickets, guest)
        redis.call('ZREM', leases, guest)
        waited = waited + redis.call('SREM', waiting, guest)
    end
end
redis.call('DEL', unpack(KEYS, 5))
return waited
