#!lua flags=no-writes
-- Find the search of a guest.
--
-- KEYS[1] tickets, KEYS[2] leases: as in queue_enter.lua
--
-- ARGV[1] the guest's id
-- ARGV[2] milliseconds after the end of a lease that a ticket can be recalled
--
-- Returns the ticket, or nil

local lease = redis.call('ZSCORE', KEYS[2], ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not lease or lease + ARGV[2] <= now then
    return nil
end
return redis.call('HGET', KEYS[1], ARGV[1])
