200005: mov esi, ecx
200007  pcmpistri xmm0, xmmword ptr [rbx], 0x1a
20000d  cmova edi, ecx
200010  mov ecx, esi
200012  dec ecx
200014  jne 0x200005

(local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 v128 v128 i32 i32 i32 i32 i64 i64 i64)
i32.const 0
i32.load offset=0x270 ;; BUDGET
local.tee 37
i32.const 6
i32.lt_s
if
  i32.const 0
  i64.const 2097157
  i64.store offset=0x90 ;; RIP
  i64.const -9223372036854775808
  return
end
i32.const 0
i64.load offset=0x8 ;; rcx
local.set 2
i32.const 0
i64.load offset=0x18 ;; rbx
local.set 4
i32.const 0
i64.load offset=0x30 ;; rsi
local.set 7
i32.const 0
i64.load offset=0x38 ;; rdi
local.set 8
i32.const 0
v128.load offset=0x4a0 ;; xmm0
local.set 17
block
  block
    block
      block
        i32.const 0
        i32.load offset=0x3d4 ;; READ_WINDOWS_VERSION
        i32.const 0
        i32.load offset=0x8000
        i32.ne
        if
          i32.const 46137376
          local.set 39
          br 2
        end
        i32.const 0
        i64.load offset=0x98 ;; FLAG_RESULT
        local.set 33
        i32.const 0
        i64.load offset=0xa0 ;; FLAG_CARRIES
        local.set 34
        i32.const 0
        i64.load offset=0xa8 ;; FLAG_CARRY
        local.set 35
        i32.const 0
        i32.load offset=0xb4 ;; FLAG_KIND
        local.set 36
        loop
          local.get 37
          i32.const 6
          i32.sub
          local.set 37
          local.get 2
          i32.wrap_i64
          i64.extend_i32_u
          local.tee 42
          local.set 7
          local.get 4
          local.tee 42
          i64.const 4194273
          i64.ge_u
          if
            i32.const 0
            local.get 42
            i64.store offset=0x88 ;; ADDRESS
            i32.const 46137344
            local.set 39
            br 2
          end
          local.get 42
          i32.wrap_i64
          v128.load offset=0x3400000 ;; RAM
          local.set 43
          local.get 17
          local.set 44
          i32.const 26
          local.get 44
          local.get 43
          i32.const -1
          i32.const -1
          call 17
          local.tee 45
          i32.const 16
          i32.shr_u
          local.tee 46
          i32.const 65536
          i32.or
          i32.ctz
          i64.extend_i32_u
          local.set 2
          local.get 45
          i32.const 64
          i32.and
          i32.const 0
          i32.ne
          local.tee 47
          i32.const 1
          i32.xor
          i64.extend_i32_u
          local.set 33
          local.get 45
          i32.const 1
          i32.and
          i32.const 0
          i32.ne
          local.set 48
          local.get 45
          i32.const 2048
          i32.and
          i32.const 0
          i32.ne
          local.get 48
          i32.xor
          i64.extend_i32_u
          i64.const 63
          i64.shl
          local.set 34
          local.get 48
          local.get 45
          i32.const 128
          i32.and
          i32.const 0
          i32.ne
          i32.const 1
          i32.shl
          local.get 47
          i32.const 2
          i32.shl
          i32.or
          i32.or
          i64.extend_i32_u
          local.set 35
          local.get 2
          local.set 42
          local.get 8
          i32.wrap_i64
          i64.extend_i32_u
          local.set 49
          local.get 42
          local.get 49
          local.get 35
          i32.wrap_i64
          i32.const 1
          i32.and
          local.get 33
          i64.eqz
          i32.or
          i32.eqz
          select
          i32.wrap_i64
          i64.extend_i32_u
          local.set 8
          local.get 7
          local.tee 49
          local.tee 2
          local.tee 50
          local.tee 49
          i64.const 1
          i64.sub
          local.tee 42
          i32.wrap_i64
          i64.extend_i32_u
          local.set 2
          local.get 35
          i32.wrap_i64
          i32.const 1
          i32.and
          i64.extend_i32_u
          local.set 51
          local.get 49
          local.set 33
          i64.const 1
          local.set 34
          local.get 51
          local.set 34
          i32.const 30
          local.set 36
          local.get 33
          i64.const 1
          i64.ne
          if
            i32.const 30
            local.set 36
            local.get 37
            i32.const 6
            i32.lt_s
            if
              i32.const 46137360
              local.set 39
              i32.const 30
              local.set 36
              br 3
            end
            br 1
          else
            i64.const 2097174
            local.set 38
            i32.const 1048580
            local.set 40
            i32.const 30
            local.set 36
            br 4
          end
        end
      end
      i32.const 0
      local.get 33
      i64.store offset=0x98 ;; FLAG_RESULT
      i32.const 0
      local.get 34
      i64.store offset=0xa0 ;; FLAG_CARRIES
      i32.const 0
      local.get 35
      i64.store offset=0xa8 ;; FLAG_CARRY
      i32.const 0
      local.get 36
      i32.store offset=0xb4 ;; FLAG_KIND
    end
    local.get 39
    i32.const 1
    i32.gt_u
    if
      local.get 37
      local.get 39
      i32.load8_u offset=0x8
      i32.add
      local.set 37
      i32.const 0
      local.get 39
      i64.load
      i64.store offset=0x90 ;; RIP
      local.get 39
      i32.load offset=0xc
      i32.const 1
      i32.add
      local.set 48
      local.get 39
      local.get 48
      i32.store offset=0xc
      i64.const -9223372036854775808
      local.set 38
      local.get 48
      i32.const 15
      i32.and
      i32.eqz
      local.get 39
      i32.load8_u offset=0x9
      i32.const 3
      i32.lt_u
      i32.and
      if
        i32.const 0
        local.get 39
        i32.store offset=0x27c ;; RECORD
        i64.const -9223372036854775806
        local.set 38
      end
    end
    i32.const 0
    local.get 2
    i64.store offset=0x8 ;; rcx
    i32.const 0
    local.get 7
    i64.store offset=0x30 ;; rsi
    i32.const 0
    local.get 8
    i64.store offset=0x38 ;; rdi
    i32.const 0
    local.get 37
    i32.store offset=0x270 ;; BUDGET
    local.get 39
    i32.const 1
    i32.eq
    if
      i32.const 0
      local.get 38
      i64.store offset=0x90 ;; RIP
      i64.const -9223372036854775806
      return
    end
    local.get 38
    return
    unreachable
  end
  i32.const 0
  local.get 33
  i64.store offset=0x98 ;; FLAG_RESULT
  i32.const 0
  local.get 34
  i64.store offset=0xa0 ;; FLAG_CARRIES
  i32.const 0
  local.get 35
  i64.store offset=0xa8 ;; FLAG_CARRY
  i32.const 0
  local.get 36
  i32.store offset=0xb4 ;; FLAG_KIND
end
i32.const 0
local.get 2
i64.store offset=0x8 ;; rcx
i32.const 0
local.get 7
i64.store offset=0x30 ;; rsi
i32.const 0
local.get 8
i64.store offset=0x38 ;; rdi
i32.const 0
local.get 37
i32.store offset=0x270 ;; BUDGET
local.get 40
i32.load
local.tee 47
if
  local.get 0
  local.get 47
  return_call_indirect (type 0) 0
end
local.get 38
return
unreachable
