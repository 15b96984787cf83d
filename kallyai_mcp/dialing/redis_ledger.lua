-- The steps of the ledger in Redis. Each call of this script is one step, and Redis does nothing else meanwhile.
--
-- KEYS[1]  what every key begins with; a hash tag, so that all of them are in one slot
-- ARGV     the step, the milliseconds after which what was not written again goes by itself, the step's own values
--
-- All times are seconds since the epoch on the callers' clocks. The layout of the keys is in redis_ledger.py.

local base, step, keep = KEYS[1], ARGV[1], ARGV[2]

local UNDER_WAY = {prepared = true, sent = true}
local UNSETTLED = {prepared = true, sent = true, unknown = true}
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
  if record.call_id then
    put('SET', key('id', record.scope, record.call_id), id)
  end
end

local function unindex(record)
  local id = record.tracking_id
  redis.call('ZREM', key('calls'), id)
  redis.call('ZREM', key('same', record.scope, record.fingerprint), id)
  redis.call('ZREM', key('unsettled', record.scope), id)
  redis.call('SREM', key('carried', record.owner), id)
  if record.call_id then
    redis.call('DEL', key('id', record.scope, record.call_id))
  end
end

local function remove(record)
  unindex(record)
  redis.call('DEL', key('call', record.tracking_id))
end

local function save(record)
  local before = read(record.tracking_id)
  if before then
    remove(before)
  end
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

local function is_void(grip)
  return redis.call('EXISTS', key('void', grip)) == 1
end

local VOID = {err = 'VOID this step was given up by its caller'}

local steps = {}

function steps.enter(redial, since, ...)
  local record = unflat({...})
  if is_void(record.grip) then
    return VOID
  end
  local earlier = read(record.tracking_id)
  if earlier and earlier.grip == record.grip then
    return {1} -- this very entry, whose answer was lost
  end
  if redial == '0' then
    for other in newest(key('same', record.scope, record.fingerprint)) do
      if bars(other, tonumber(since)) then
        return {0, flat(other)}
      end
    end
  end
  if earlier then
    return {err = 'TAKEN there is a record with this tracking_id'}
  end
  beat(record.owner, record.placed_at)
  save(record)
  return {1}
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

-- Removes at most `most` records, and tells how many it has removed.
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
  silent('(' .. before, '')
  return #ids
end

return steps[step](unpack(ARGV, 3))
