#!lua
-- Remove tickets whose searches have ended.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases: as in queue_enter.lua
-- KEYS[4…] the claim of each ticket
--
-- ARGV[1…] of each ticket: the guest's id, the ticket
--
-- Returns how many of them waited. If a guest's ticket is another one by now, it stays.

local tickets, waiting, leases = KEYS[1], KEYS[2], KEYS[3]
local waited = 0
for place = 1, #ARGV, 2 do
    local guest = ARGV[place]
    if redis.call('HGET', tickets, guest) == ARGV[place + 1] then
        redis.call('HDEL', tickets, guest)
        redis.call('ZREM', leases, guest)
        waited = waited + redis.call('SREM', waiting, guest)
    end
end
redis.call('DEL', unpack(KEYS, 4))
return waited
