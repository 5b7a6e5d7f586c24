#!lua
-- Enter a ticket: one step, in which a partner is found or the ticket waits. It may be run again after a lost answer.
--
-- KEYS[1] tickets  hash, guest id to ticket (JSON): who waits, is suspended, or has been matched and not yet forgotten
-- KEYS[2] waiting  set of guest ids: who can be found
-- KEYS[3] leases   sorted set, guest id by the end of the lease, in milliseconds of the server's clock
-- KEYS[4] claim    string, of this ticket: the attempt, a space, and the partner's ticket
--
-- ARGV[1] the guest's id
-- ARGV[2] the ticket
-- ARGV[3] the attempt: a number that no other `enter` of this ticket has
-- ARGV[4] milliseconds of a lease; also until a ticket that was matched in vain can enter again
-- ARGV[5] milliseconds that a claim is kept
-- ARGV[6] milliseconds that the other keys are kept at least
-- ARGV[7] how many tickets with an ended lease are dropped at most
-- ARGV[8] 1: this attempt may have been applied already, 0: it cannot
--
-- Returns the partner's ticket; nil: the ticket waits; 0: so many were dropped that it has to be run again

local tickets, waiting, leases, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local guest, ticket, attempt = ARGV[1], ARGV[2], ARGV[3] .. ' '
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now + ARGV[4]

local function keep(key)
    if redis.call('PTTL', key) < tonumber(ARGV[6]) then
        redis.call('PEXPIRE', key, 2 * ARGV[6])
    end
end

if ARGV[8] == '1' then
    local claimed = redis.call('GET', claim)
    if claimed and string.sub(claimed, 1, #attempt) == attempt then
        return string.sub(claimed, #attempt + 1)
    end
    if redis.call('HGET', tickets, guest) == ticket then
        local lease = redis.call('ZSCORE', leases, guest)
        if redis.call('SISMEMBER', waiting, guest) == 1 or (lease and tonumber(lease) > now) then
            return nil -- it waits, or another one has just found it
        end
    end
end

redis.call('SREM', waiting, guest) -- an earlier ticket
for _ = 1, tonumber(ARGV[7]) do
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
        redis.call('SET', claim, attempt .. found, 'PX', ARGV[5])
        keep(tickets)
        keep(leases)
        return found
    end
end
return 0
