#!lua
-- Enter a ticket: one step, in which a partner is found or the ticket waits. It may be run again after a lost answer.
--
-- KEYS[1] tickets  hash, guest id to ticket (JSON): who waits, is suspended, or has been matched and not yet forgotten
-- KEYS[2] waiting  set of guest ids: who can be found
-- KEYS[3] leases   sorted set, guest id by the end of the lease, in milliseconds of the server's clock
-- KEYS[4] claim    string, of this ticket: "attempt ends guest ticket": the last two are the partner's, who is matched
--                  with this ticket as long as their lease is the one that `ends` then
--
-- ARGV[1] the guest's id
-- ARGV[2] the ticket
-- ARGV[3] the attempt: a number that no other `enter` of this ticket has
-- ARGV[4] milliseconds of a lease; also until a ticket that was matched in vain can enter again
-- ARGV[5] milliseconds that the keys are kept at least; a claim only as long as a lease
-- ARGV[6] how many tickets with an ended lease are dropped at most
-- ARGV[7] 1: this attempt may have been applied already, 0: it cannot
--
-- Returns the partner's ticket; nil: the ticket waits; 0: so many were dropped that it has to be run again

local tickets, waiting, leases, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local guest, ticket, attempt = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now + ARGV[4]

local function keep(key)
    if redis.call('PTTL', key) < tonumber(ARGV[5]) then
        redis.call('PEXPIRE', key, 2 * ARGV[5])
    end
end

if ARGV[7] == '1' then
    local claimed, til, partner, found = string.match(redis.call('GET', claim) or '', '^(%d+) (%d+) (%S+) (.*)$')
    if claimed == attempt and tonumber(til) > now and redis.call('ZSCORE', leases, partner) == til
        and redis.call('HGET', tickets, partner) == found then
        return found
    end
    if redis.call('HGET', tickets, guest) == ticket then
        local lease = redis.call('ZSCORE', leases, guest)
        if redis.call('SISMEMBER', waiting, guest) == 1 or (claimed ~= attempt and lease and tonumber(lease) > now) then
            return nil -- it waits, or another one has just found it
        end
    end
end

redis.call('SREM', waiting, guest) -- an earlier ticket
for _ = 1, tonumber(ARGV[6]) do
    local other = redis.call('SPOP', waiting)
    if not other then
        redis.call('HSET', tickets, guest, ticket)
        redis.call('SADD', waiting, guest)
        redis.call('ZADD', leases, ends, guest)
        keep(tickets)
        keep(waiting)
        keep(leases)
        return nil
    end
    local lease = redis.call('ZSCORE', leases, other)
    local found = lease and tonumber(lease) > now and redis.call('HGET', tickets, other)
    if found then
        -- Both can be recalled until they have a room.
        redis.call('HSET', tickets, guest, ticket)
        redis.call('ZADD', leases, ends, guest, ends, other)
        redis.call('SET', claim, table.concat({attempt, string.format('%d', ends), other, found}, ' '), 'PX', ARGV[4])
        keep(tickets)
        keep(leases)
        return found
    end
end
return 0
