#!lua
-- Prolong the leases of tickets that wait.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases, KEYS[4] places: as in queue_enter.lua
--
-- ARGV[1] milliseconds of a lease
-- ARGV[2] milliseconds that the keys are kept at least
-- ARGV[3…] the guests' ids, at least one
--
-- Returns the places (from 0) of the guests whose tickets are lost. One that another guest has just found is not lost
-- before the time is over in which the two can get a room. The ticket itself is not compared: whoever finds an older
-- one drops it, and then it is lost.

local tickets, waiting, leases, places = unpack(KEYS, 1, 4)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now + ARGV[1]
local waits = redis.call('SMISMEMBER', waiting, unpack(ARGV, 3))
local renewed, lost = {}, {}
for place, is_waiting in ipairs(waits) do
    local guest = ARGV[place + 2]
    if is_waiting == 1 then
        renewed[#renewed + 1] = ends
        renewed[#renewed + 1] = guest
    else
        local lease = redis.call('ZSCORE', leases, guest)
        if not lease or tonumber(lease) <= now then
            lost[#lost + 1] = place - 1
        end
    end
end
if #renewed > 0 then
    redis.call('ZADD', leases, 'GT', unpack(renewed)) -- see queue_enter.lua
end
for _, key in ipairs({tickets, waiting, leases, places}) do
    if redis.call('PTTL', key) < tonumber(ARGV[2]) then
        redis.call('PEXPIRE', key, 2 * ARGV[2])
    end
end
return lost
