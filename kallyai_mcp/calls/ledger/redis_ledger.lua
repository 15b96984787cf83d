-- The steps of the ledger in Redis. Each call of this script is one step, and Redis does nothing else meanwhile.
--
-- KEYS[1]  what every key begins with; a hash tag, so that all of them are in one slot
-- ARGV     the step, the milliseconds after which what was not written again goes by itself, the step's own values
--
-- All times are seconds since the epoch on the callers' clocks. The layout of the keys is in redis_ledger.py.

local base, step, keep = KEYS[1], ARGV[1], ARGV[2]

local UNDER_WAY = {prepared = true, sent = true}
local UNSETTLED = {prepared = true, sent = true, unknown = true}
local DAY = 86400
local CLOCKS_APART = 60 -- how far apart the callers' clocks may be, in seconds
local VOID_MILLISECONDS = 3600000 -- a step that is on its way longer than this does not exist

local function key(...)
  return table.concat({base, ...}, ':')
end

local function put(command, name, ...)
  redis.call(command, name, ...)
  redis.call('PEXPIRE', name, keep)
end

local function flat(record)
  local list = {}
  for name, value in pairs(record) do
    list[#list + 1] = name
    list[#list + 1] = value
  end
  return list
end

local function unflat(list)
  local record = {}
  for i = 1, #list, 2 do
    record[list[i]] = list[i + 1]
  end
  return record
end

local function read(id)
  local list = redis.call('HGETALL', key('call', id))
  return #list > 0 and unflat(list) or nil
end

-- Whether the same call may not be placed again yet, when a success counts as recent if it ended after `since`.
local function bars(record, since)
  if UNSETTLED[record.state] then
    return true
  end
  if record.state ~= 'ended' then
    return false
  end
  if record.handed_out ~= '1' then
    return true
  end
  local succeeded = record.outcome and cjson.decode(record.outcome).status == 'success'
  return succeeded and tonumber(record.ended_at) > since
end

local function index(record)
  local id = record.tracking_id
  put('ZADD', key('calls'), record.placed_at, id)
  if bars(record, -math.huge) then
    put('ZADD', key('same', record.scope, record.fingerprint), record.placed_at, id)
  end
  if UNSETTLED[record.state] then
    put('ZADD', key('unsettled', record.scope), record.placed_at, id)
  end
  if UNDER_WAY[record.state] then
    put('SADD', key('carried', record.owner), id)
    put('ZADD', key('owners'), 'NX', 0, record.owner)
  end
  if record.state ~= 'refused' then
    put('ZADD', key('rung', record.scope), record.placed_at, id)
    put('ZADD', key('scopes'), 'NX', record.placed_at, record.scope)
  end
  if record.call_id then
    put('SET', key('id', record.scope, record.call_id), id)
  end
end

local function unindex(record)
  local id = record.tracking_id
  redis.call('ZREM', key('calls'), id)
  redis.call('ZREM', key('same', record.scope, record.fingerprint), id)
  redis.call('ZREM', key('unsettled', record.scope), id)
  redis.call('ZREM', key('rung', record.scope), id)
  redis.call('SREM', key('carried', record.owner), id)
  if record.call_id then
    redis.call('DEL', key('id', record.scope, record.call_id))
  end
end

local function remove(record)
  unindex(record)
  redis.call('DEL', key('call', record.tracking_id))
end

-- An older version has not written the number down by itself.
local function number_in(submission)
  local is_read, fields = pcall(cjson.decode, submission)
  return is_read and fields.respondent_phone or nil
end

local function save(record)
  local before = read(record.tracking_id)
  if before then
    remove(before)
  end
  record.number = record.number or number_in(record.submission)
  put('HSET', key('call', record.tracking_id), unpack(flat(record)))
  index(record)
end

-- The records of a sorted set, newest first; those that have gone by themselves leave it.
local function newest(name)
  local ids, i = redis.call('ZREVRANGE', name, 0, -1), 0
  return function()
    while i < #ids do
      i = i + 1
      local record = read(ids[i])
      if record then
        return record
      end
      redis.call('ZREM', name, ids[i])
    end
  end
end

-- The records that an owner carries.
local function carried(owner)
  local name, records = key('carried', owner), {}
  for _, id in ipairs(redis.call('SMEMBERS', name)) do
    local record = read(id)
    if record then
      records[#records + 1] = record
    else
      redis.call('SREM', name, id)
    end
  end
  return records
end

-- The other owners without a word since `cutoff` that carry something; who carries nothing is forgotten.
local function silent(cutoff, but)
  local found = {}
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', key('owners'), '-inf', cutoff)) do
    if redis.call('EXISTS', key('carried', owner)) == 0 then
      redis.call('ZREM', key('owners'), owner)
    elseif owner ~= but then
      found[#found + 1] = owner
    end
  end
  return found
end

local function beat(owner, now)
  put('ZADD', key('owners'), now, owner)
end

-- Takes up what an older version, which knows nothing of `rung`, has written: once that of the last day, and when
-- there are caps, what a server of that version, which is still at work, has added since.
local function take_up(now, is_capped)
  local last = redis.call('GET', key('taken_up'))
  if last and not is_capped then
    return
  end
  local since = last and tonumber(last) - CLOCKS_APART or tonumber(now) - DAY
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('calls'), since, '+inf')) do
    local record = redis.call('HEXISTS', key('call', id), 'number') == 0 and read(id)
    if record then
      save(record)
    end
  end
  put('SET', key('taken_up'), now)
end

-- When the newest calls of a scope since then were placed, at most so many; to one number, where one is given. What an
-- older version has refused, or Redis has lost, may still be in the set.
local function rung(scope, since, most, number)
  local times, found = redis.call('ZREVRANGEBYSCORE', key('rung', scope), '+inf', '(' .. since, 'WITHSCORES'), {}
  for i = 1, #times, 2 do
    if #found == most then
      break
    end
    local called, state = unpack(redis.call('HMGET', key('call', times[i]), 'number', 'state'))
    if state and state ~= 'refused' and (not number or called == number) then
      found[#found + 1] = times[i + 1]
    end
  end
  return found
end

local function note(scope, at, outcome, line)
  put('ZADD', key('audit', scope), at, outcome .. '\n' .. line)
  put('ZADD', key('scopes'), 'NX', at, scope)
end

-- What forbids a call, if anything does, and notes it: the name of the setting, and the time of the oldest of as many
-- calls as its cap allows, which is empty when there is none.
local function forbidden(rails, scope, at, number)
  local setting, oldest, opens = rails.ban, '', -math.huge
  for _, cap in ipairs(rails.ban == '' and rails.caps or {}) do
    local times = rung(scope, cap.since, cap.limit, cap.per_number and number)
    if #times == cap.limit then
      local first = times[#times] or ''
      local cap_opens = first == '' and math.huge or tonumber(first) + cap.window
      if cap_opens > opens then
        setting, oldest, opens = cap.setting, first, cap_opens
      end
    end
  end
  if setting ~= '' then
    note(scope, at, rails.refused .. setting, rails.line)
    return {2, setting, oldest}
  end
end

local function is_void(grip)
  return redis.call('EXISTS', key('void', grip)) == 1
end

local VOID = {err = 'VOID this step was given up by its caller'}

-- The record that bars the same call from being placed again, when a success counts as recent if it ended after `since`.
local function same(scope, fingerprint, since)
  for record in newest(key('same', scope, fingerprint)) do
    if bars(record, tonumber(since)) then
      return record
    end
  end
end

local steps = {}

-- Answers 0 and the record that bars it, or 1 for a new record, or 2 with what forbids it.
function steps.enter(redial, since, rails, ...)
  local record = unflat({...})
  if is_void(record.grip) then
    return VOID
  end
  local earlier = read(record.tracking_id)
  if earlier and earlier.grip == record.grip then
    return {1} -- this very entry, whose answer was lost
  end
  local other = redial == '0' and same(record.scope, record.fingerprint, since)
  if other then
    return {0, flat(other)}
  end
  if earlier then
    return {err = 'TAKEN there is a record with this tracking_id'}
  end
  rails = cjson.decode(rails)
  take_up(record.placed_at, #rails.caps > 0)
  local hit = forbidden(rails, record.scope, record.placed_at, rails.number)
  if hit then
    return hit
  end
  beat(record.owner, record.placed_at)
  save(record)
  note(record.scope, record.placed_at, rails.placed, rails.line)
  return {1}
end

function steps.admit(scope, now, rails)
  rails = cjson.decode(rails)
  take_up(now, #rails.caps > 0)
  return forbidden(rails, scope, now, rails.number)
end

function steps.same(scope, fingerprint, since)
  local record = same(scope, fingerprint, since)
  return record and flat(record)
end

function steps.last_rung(scope, number)
  return rung(scope, '-inf', 1, number)[1]
end

function steps.audit(scope, limit)
  return limit ~= '0' and redis.call('ZREVRANGE', key('audit', scope), 0, tonumber(limit) - 1) or {}
end

function steps.find(scope, id)
  local record = read(id)
  if record and record.scope == scope then
    return flat(record)
  end
  local owner_of_id = redis.call('GET', key('id', scope, id))
  record = owner_of_id and read(owner_of_id)
  return record and flat(record)
end

function steps.unsettled(scope)
  local found = {}
  for record in newest(key('unsettled', scope)) do
    found[#found + 1] = flat(record)
  end
  return found
end

function steps.send(id, owner, now)
  local record = read(id)
  if not (record and record.owner == owner and UNDER_WAY[record.state]) then
    return 0
  end
  record.state = 'sent'
  record.sent_at = record.sent_at or now
  save(record)
  return 1
end

function steps.lose(id, now)
  local record = read(id)
  if record and not record.lost_at then
    record.lost_at = now
    save(record)
  end
end

function steps.claim(id, call_id, sure)
  local record = read(id)
  if not record then
    return 1
  end
  local holder_id = redis.call('GET', key('id', record.scope, call_id))
  local holder = holder_id and holder_id ~= id and read(holder_id)
  if holder then
    if sure == '0' or not holder.lost_at then
      return 0
    end
    holder.call_id, holder.outcome, holder.error, holder.ended_at = nil, nil, nil, nil
    holder.state, holder.owner, holder.handed_out = 'sent', '', '0'
    save(holder)
  end
  record.call_id = call_id
  save(record)
  return 1
end

function steps.finish(id, state, now, ...)
  local record = read(id)
  if record and UNSETTLED[record.state] then
    local ending = unflat({...})
    record.state, record.ended_at, record.outcome, record.error = state, now, ending.outcome, ending.error
    save(record)
  end
end

function steps.hand_out(id)
  local record = read(id)
  if record and (record.state == 'ended' or record.state == 'refused') then
    record.handed_out = '1'
    save(record)
  end
end

function steps.take_back(id)
  local record = read(id)
  if record then
    record.handed_out = '0'
    save(record)
  end
end

function steps.beat(owner, now)
  beat(owner, now)
end

function steps.leave(owner)
  redis.call('ZREM', key('owners'), owner)
  if redis.call('EXISTS', key('carried', owner)) == 1 then
    put('ZADD', key('owners'), 0, owner)
  end
end

function steps.has_orphans(owner, cutoff)
  return #silent(cutoff, owner) > 0 and 1 or 0
end

function steps.adopt(scope, owner, now, cutoff, grip)
  if is_void(grip) then
    return VOID
  end
  beat(owner, now)
  local adopted = {}
  for _, record in ipairs(carried(owner)) do
    if record.grip == grip then
      adopted[#adopted + 1] = flat(record) -- by this very step, whose answer was lost
    end
  end
  for _, other in ipairs(silent(cutoff, owner)) do
    for _, record in ipairs(carried(other)) do
      if record.scope == scope then
        record.owner, record.grip = owner, grip
        save(record)
        adopted[#adopted + 1] = flat(record)
      end
    end
  end
  return adopted
end

-- Undoes entries and adoptions of which their caller has not heard, given as pairs of grip and owner, whether they have
-- happened or are still on their way: nobody would carry the records out while their owner is alive.
function steps.release(...)
  local given_up, owners = unflat({...}), {}
  for grip, owner in pairs(given_up) do
    owners[owner] = true
    redis.call('SET', key('void', grip), '1', 'PX', VOID_MILLISECONDS)
  end
  for owner in pairs(owners) do
    for _, record in ipairs(carried(owner)) do
      if given_up[record.grip] then
        record.owner = ''
        save(record)
      end
    end
  end
end

-- Removes what was placed in a scope, or noted in its audit trail, before then, and of which no record tells.
local function forget_scope(scope, before)
  local oldest
  for _, name in ipairs({key('audit', scope), key('rung', scope)}) do
    redis.call('ZREMRANGEBYSCORE', name, '-inf', '(' .. before)
    local first = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2]
    if first and not (oldest and tonumber(oldest) <= tonumber(first)) then
      oldest = first
    end
  end
  if oldest then
    put('ZADD', key('scopes'), oldest, scope)
  else
    redis.call('ZREM', key('scopes'), scope)
  end
end

-- Removes at most `most` records, and of the audit trail what is in `most` scopes; tells how many of either it were.
function steps.forget(before, most)
  local name = key('calls')
  local ids = redis.call('ZRANGEBYSCORE', name, '-inf', '(' .. before, 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    local record = read(id)
    if record then
      remove(record)
    end
    redis.call('ZREM', name, id)
  end
  local scopes = redis.call('ZRANGEBYSCORE', key('scopes'), '-inf', '(' .. before, 'LIMIT', 0, most)
  for _, scope in ipairs(scopes) do
    forget_scope(scope, before)
  end
  if redis.call('EXISTS', name) == 0 then
    redis.call('DEL', key('taken_up'))
  end
  silent('(' .. before, '')
  return math.max(#ids, #scopes)
end

return steps[step](unpack(ARGV, 3))
