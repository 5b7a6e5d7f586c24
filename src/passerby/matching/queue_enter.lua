#!lua
-- Enter tickets, one after the other: each is a step in which a partner is found or the ticket waits. A step may be run
-- again after a lost answer.
--
-- KEYS[1] tickets  hash, guest id to ticket (JSON): who waits, is suspended, or has been matched and not yet forgotten
-- KEYS[2] waiting  set of guest ids: who can be found
-- KEYS[3] leases   sorted set, guest id by the end of the lease, in milliseconds of the server's clock
-- KEYS[4] places   hash, guest id to where it stands: 1 if it accepts whom it has met lately, else 0, and the names of
--                  its places, each after a line break. Each place is a key, this one with ":" and the name: a sorted
--                  set, guest id by the position
-- KEYS[5…] claim   string, of each ticket: "attempt ends guest ticket": the last two are the partner's, who is matched
--                  with this ticket as long as their lease is the one that `ends` then
--
-- ARGV[1] milliseconds of a lease; also until a ticket that was matched in vain can enter again
-- ARGV[2] milliseconds that the keys are kept at least; a claim only as long as a lease
-- ARGV[3] how many who do not wait any more are dropped at most, for all together
-- ARGV[4] how many of each place are looked at first
-- ARGV[5] how many of each tier are looked at in all
-- ARGV[6] milliseconds that a place is kept after the last one has come to it
-- ARGV[7…] of each ticket: the guest's id
--                          the ticket
--                          the attempt: a number that no other `enter` of this ticket has
--                          1: this attempt may have been applied already, 0: it cannot
--                          1: it still waits, or nothing happens; 0: it enters
--                          its position
--                          1: it accepts whom it has met lately, if they do so too; 0: it does not
--                          the number of places where it stands, and their names
--                          the number of tiers, and of each, the best first: the highest position of those who are
--                          taken from there; the number of places, and their names
--
-- Returns for each ticket: the partner's; nil: it waits, or it had to wait and did not; 0: so many were dropped that it
-- has to be run again; or an error, which is no other ticket's

local tickets, waiting, leases, places = unpack(KEYS, 1, 4)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local droppable, FIRST, EXAMINED = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

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

-- Whether a guest is in one of the two lists of a ticket: 2 never to be met, 1 met lately, 0 in none.
local function knows(ticket, guest)
    local met = string.find(ticket, '"met":[', 1, true)
    local never = string.find(ticket, '"never":[', 1, true)
    local quoted = '"' .. guest .. '"'
    if never and string.find(ticket, quoted, never, true) then
        return 2
    end
    return met and string.find(ticket, quoted, met, true) and 1 or 0
end

-- Return the ticket of another guest and the end of the lease, if the two may meet.
local function acceptable(guest, ticket, again, other, place)
    local lease = redis.call('ZSCORE', leases, other)
    local found = redis.call('HGET', tickets, other)
    if not found or not lease or tonumber(lease) <= now or redis.call('SISMEMBER', waiting, other) == 0 then
        droppable = droppable - 1
        redis.call('SREM', waiting, other)
        redis.call('ZREM', place, other)
        leave(places, other)
        return
    end
    local known = math.max(knows(ticket, other), knows(found, guest))
    if known == 0 or (known == 1 and again == '1' and string.sub(redis.call('HGET', places, other) or '', 1, 1) == '1') then
        return found, lease
    end
end

local function earlier(one, other)
    return one[1] < other[1] or (one[1] == other[1] and one[2] < other[2])
end

-- Return those who stand in places, each with its position and its place, the longest waiting first. `skipped` are not
-- looked for.
local function standing(first, count, highest, limit, skipped)
    local all, is_more = {}, false
    for index = first, first + count - 1 do
        local place = places .. ':' .. ARGV[index]
        local some = redis.pcall('ZRANGE', place, '-inf', highest, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
        if some.err then -- of another type: somebody else has written it
            redis.call('DEL', place)
            some = {}
        end
        is_more = is_more or #some == 2 * limit
        for each = 1, #some, 2 do
            if not skipped[some[each]] then
                all[#all + 1] = {tonumber(some[each + 1]), some[each], place}
            end
        end
    end
    if #all > 1 then
        table.sort(all, earlier)
    end
    return all, is_more
end

-- Return a guest of a tier who may be met, the ticket, and the end of the lease.
local function best(guest, ticket, again, first, count, highest)
    local seen = {[guest] = true}
    local examined, is_more, limit = 0, true, FIRST
    while is_more and examined < EXAMINED and droppable > 0 do
        local all
        all, is_more = standing(first, count, highest, limit, seen)
        for _, each in ipairs(all) do
            if not seen[each[2]] then
                seen[each[2]] = true
                local found, lease = acceptable(guest, ticket, again, each[2], each[3])
                if found then
                    return each[2], found, lease
                end
                examined = examined + 1
                if examined == EXAMINED or droppable == 0 then
                    return
                end
            end
        end
        if limit > EXAMINED then
            return
        end
        limit = EXAMINED + FIRST
    end
end

local function find(guest, ticket, again, place)
    for _ = 1, tonumber(ARGV[place]) do
        local highest, count = ARGV[place + 1], tonumber(ARGV[place + 2])
        local other, found, lease = best(guest, ticket, again, place + 3, count, highest)
        if other or droppable == 0 then
            return other, found, lease
        end
        place = place + 2 + count
    end
end

local function wait(guest, ticket, ends, position, again, place)
    redis.call('HSET', tickets, guest, ticket)
    redis.call('SADD', waiting, guest)
    redis.call('ZADD', leases, ends, guest)
    local count = tonumber(ARGV[place])
    local stands = {again}
    for index = place + 1, place + count do
        local key = places .. ':' .. ARGV[index]
        if type(redis.pcall('ZADD', key, position, guest)) == 'table' then -- an error: see above
            redis.call('DEL', key)
            redis.call('ZADD', key, position, guest)
        end
        redis.call('PEXPIRE', key, ARGV[6])
        stands[#stands + 1] = ARGV[index]
    end
    redis.call('HSET', places, guest, table.concat(stands, '\n'))
end

local function enter(claim, first)
    local guest, ticket, attempt, is_again, is_look, position, again = unpack(ARGV, first, first + 6)
    if is_again == '1' then
        local is_applied, answer = applied(claim, guest, ticket, attempt)
        if is_applied then
            return answer
        end
    end
    if is_look == '1' and (redis.call('SISMEMBER', waiting, guest) == 0
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

    local place = first + 7
    local other, found, lease = find(guest, ticket, again, place + 1 + ARGV[place])
    if not other and droppable == 0 then
        return 0 -- an earlier ticket still waits, or this one, when this is run again
    end
    redis.call('SREM', waiting, guest)
    leave(places, guest)
    if not other then
        wait(guest, ticket, ends, position, again, place)
        return false
    end
    redis.call('SREM', waiting, other)
    leave(places, other)
    -- Both can be recalled until they have a room.
    ends = math.max(ends, lease + 1)
    redis.call('HSET', tickets, guest, ticket)
    redis.call('ZADD', leases, ends, guest, ends, other)
    local claimed = table.concat({attempt, string.format('%d', ends), other, found}, ' ')
    redis.call('SET', claim, claimed, 'PX', ARGV[1])
    return found
end

-- Where the arguments of the next ticket begin.
local function after(first)
    local place = first + 7
    place = place + 1 + ARGV[place]
    local count = tonumber(ARGV[place])
    for _ = 1, count do
        place = place + 2 + ARGV[place + 2]
    end
    return place + 1
end

local answers = {}
local first = 7
for place = 1, #KEYS - 4 do
    local is_done, answer = pcall(enter, KEYS[place + 4], first)
    if not is_done then -- a table or its text, that depends on the server; or the text of an error of Lua
        answer = tostring(type(answer) == 'table' and answer.err or answer)
        answer = {err = string.match(answer, '^%u+ ') and answer or 'ERR ' .. answer}
    end
    answers[place] = answer
    first = after(first)
end
for place = 1, 4 do
    if redis.call('PTTL', KEYS[place]) < tonumber(ARGV[2]) then
        redis.call('PEXPIRE', KEYS[place], 2 * ARGV[2])
    end
end
return answers
