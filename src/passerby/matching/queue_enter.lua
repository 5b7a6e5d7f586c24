#!lua
-- Enter tickets, one after the other: each is a step in which a partner is found or the ticket waits. A step may be run
-- again after a lost answer.
--
-- KEYS[1] tickets  hash, guest id to ticket (JSON): who waits, is suspended, or has been matched and not yet forgotten
-- KEYS[2] waiting  set of guest ids: who can be found
-- KEYS[3] leases   sorted set, guest id by the end of the lease, in milliseconds of the server's clock
-- KEYS[4] near     set of guest ids: who waits on this node. Some of them may wait elsewhere by now, or no more
-- KEYS[5] young    sorted set, guest id by the time (as above) until which only those of the same node find this guest
-- KEYS[6…] claim   string, of each ticket: "attempt ends guest ticket": the last two are the partner's, who is matched
--                  with this ticket as long as their lease is the one that `ends` then
--
-- ARGV[1] milliseconds of a lease; also until a ticket that was matched in vain can enter again
-- ARGV[2] milliseconds that the keys are kept at least; a claim only as long as a lease, `near` as long as four
-- ARGV[3] how many tickets with an ended lease, or in `near` for no reason, are dropped at most, for all together
-- ARGV[4] this node, as it stands in a ticket
-- ARGV[5…] of each ticket: the guest's id
--                          the ticket
--                          the attempt: a number that no other `enter` of this ticket has
--                          1: this attempt may have been applied already, 0: it cannot
--                          whom it finds. 0: anybody. More: guests of the same node; if there are none, it waits, for so
--                          many milliseconds only for them. -1: it still waits, or nothing happens, and it finds
--                          guests of the same node, and else those who do not wait for theirs only
--
-- Returns for each ticket: the partner's; nil: it waits, or -1 had no effect; 0: so many were dropped that it has to be
-- run again; or an error, which is no other ticket's

local tickets, waiting, leases, near, young = unpack(KEYS, 1, 5)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local droppable = tonumber(ARGV[3])
local SAMPLE = 100 -- of those who wait, of whom there is seldom more than one of each node

local function applied(claim, guest, ticket, attempt)
    local claimed, til, partner, found = string.match(redis.call('GET', claim) or '', '^(%d+) (%d+) (%S+) (.*)$')
    if claimed == attempt and tonumber(til) > now and redis.call('ZSCORE', leases, partner) == til
        and redis.call('SISMEMBER', waiting, partner) == 0 and redis.call('HGET', tickets, partner) == found then
        return true, found
    end
    if redis.call('HGET', tickets, guest) == ticket then
        local lease = redis.call('ZSCORE', leases, guest)
        if redis.call('SISMEMBER', waiting, guest) == 1 or (claimed ~= attempt and lease and tonumber(lease) > now) then
            return true, false -- it waits, or another one has just found it
        end
    end
    return false
end

-- Each of the three returns a guest who does not wait any more, the ticket, and the end of the lease; or nothing.

local function anybody()
    while droppable > 0 do
        local other = redis.call('SPOP', waiting)
        if not other then
            return
        end
        local lease = redis.call('ZSCORE', leases, other)
        local found = lease and tonumber(lease) > now and redis.call('HGET', tickets, other)
        if found then
            return other, found, lease
        end
        droppable = droppable - 1
    end
end

local function neighbour()
    while droppable > 0 do
        local other = redis.call('SPOP', near)
        if not other then
            return
        end
        local found = redis.call('HGET', tickets, other)
        if found and string.find(found, ARGV[4], 1, true) and redis.call('SREM', waiting, other) == 1 then
            local lease = redis.call('ZSCORE', leases, other)
            if lease and tonumber(lease) > now then
                redis.call('ZREM', young, other)
                return other, found, lease
            end
        end
        droppable = droppable - 1
    end
end

local function patient()
    redis.call('ZREMRANGEBYSCORE', young, '-inf', now)
    while droppable > 0 do
        local some = redis.call('SRANDMEMBER', waiting, SAMPLE)
        local other
        for place, til in ipairs(#some > 0 and redis.call('ZMSCORE', young, unpack(some)) or {}) do
            if not til then
                other = some[place]
                break
            end
        end
        if not other then
            return
        end
        redis.call('SREM', waiting, other)
        local lease = redis.call('ZSCORE', leases, other)
        local found = lease and tonumber(lease) > now and redis.call('HGET', tickets, other)
        if found then
            return other, found, lease
        end
        droppable = droppable - 1
    end
end

local function wait(guest, ticket, ends, patience)
    redis.call('HSET', tickets, guest, ticket)
    redis.call('SADD', waiting, guest)
    redis.call('ZADD', leases, ends, guest)
    if patience ~= 0 then
        redis.call('SADD', near, guest)
        redis.call('PEXPIRE', near, 4 * ARGV[1])
    end
    if patience > 0 then
        redis.call('ZREMRANGEBYSCORE', young, '-inf', now)
        redis.call('ZADD', young, now + patience, guest)
        redis.call('PEXPIRE', young, ARGV[1] + patience)
    end
end

local function enter(claim, guest, ticket, attempt, is_again, patience)
    patience = tonumber(patience)
    if is_again == '1' then
        local is_applied, answer = applied(claim, guest, ticket, attempt)
        if is_applied then
            return answer
        end
    end
    if patience < 0 and (redis.call('SISMEMBER', waiting, guest) == 0
            or redis.call('HGET', tickets, guest) ~= ticket) then
        return false -- another one has just found it, or it is lost
    end

    -- No lease ends in the millisecond of the guest's last one, so that no claim is taken for another. (One that ends
    -- much later is of a search that was suspended.)
    local ends = now + ARGV[1]
    local last = tonumber(redis.call('ZSCORE', leases, guest) or 0)
    if last >= ends and last < ends + 1000 then
        ends = last + 1
    end

    redis.call('SREM', waiting, guest) -- an earlier ticket, or this one
    local other, found, lease
    if patience == 0 then
        other, found, lease = anybody()
    else
        redis.call('ZREM', young, guest)
        other, found, lease = neighbour()
        if not other and patience < 0 then
            other, found, lease = patient()
        end
    end
    if other then
        -- Both can be recalled until they have a room.
        ends = math.max(ends, lease + 1)
        redis.call('HSET', tickets, guest, ticket)
        redis.call('ZADD', leases, ends, guest, ends, other)
        local claimed = table.concat({attempt, string.format('%d', ends), other, found}, ' ')
        redis.call('SET', claim, claimed, 'PX', ARGV[1])
        return found
    end
    if droppable > 0 then
        wait(guest, ticket, ends, patience)
        return false
    end
    if patience < 0 then
        redis.call('SADD', waiting, guest) -- it still waits when this is run again
    end
    return 0
end

local answers = {}
for place = 1, #KEYS - 5 do
    local first = 5 * place
    local is_done, answer = pcall(enter, KEYS[place + 5], unpack(ARGV, first, first + 4))
    if not is_done then -- a table or its text, that depends on the server; or the text of an error of Lua
        answer = tostring(type(answer) == 'table' and answer.err or answer)
        answer = {err = string.match(answer, '^%u+ ') and answer or 'ERR ' .. answer}
    end
    answers[place] = answer
end
for place = 1, 3 do
    if redis.call('PTTL', KEYS[place]) < tonumber(ARGV[2]) then
        redis.call('PEXPIRE', KEYS[place], 2 * ARGV[2])
    end
end
return answers
