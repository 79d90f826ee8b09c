200005: push rax
200006  call 0x200011
200011: inc eax
200013  ret
20000b: pop rdx
20000c  dec ecx
20000e  jne 0x200005

(local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i64 i64 i64 i64 i64 i64 i64 i32 i32)
i32.const 0
i32.load offset=0x270 ;; BUDGET
local.tee 37
i32.const 7
i32.lt_s
if
  i32.const 0
  i64.const 2097157
  i64.store offset=0x90 ;; RIP
  i64.const -9223372036854775808
  return
end
i32.const 0
i64.load ;; rax
local.set 1
i32.const 0
i64.load offset=0x8 ;; rcx
local.set 2
i32.const 0
i64.load offset=0x10 ;; rdx
local.set 3
i32.const 0
i64.load offset=0x20 ;; rsp
local.set 5
block
  block
    block
      block
        local.get 5
        local.tee 41
        i64.const -16
        i64.add
        local.tee 49
        i32.const 0
        i64.load offset=0x390 ;; stack write window
        i64.sub
        i32.const 0
        i64.load offset=0x398 ;; its length
        i64.ge_u
        if
          i32.const 0
          local.get 49
          i64.store offset=0x88 ;; ADDRESS
          i32.const 46137472
          local.set 39
          br 2
        end
        local.get 41
        local.tee 48
        i32.const 0
        i64.load offset=0x390 ;; stack write window
        i64.sub
        i32.const 0
        i64.load offset=0x398 ;; its length
        i64.ge_u
        if
          i32.const 0
          local.get 48
          i64.store offset=0x88 ;; ADDRESS
          i32.const 46137488
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
          i32.const 2
          i32.sub
          local.set 37
          local.get 1
          local.tee 42
          local.set 43
          local.get 5
          i64.const 8
          i64.sub
          local.set 44
          local.get 41
          i32.wrap_i64
          local.get 43
          i64.store offset=0x33ffff8
          local.get 44
          local.tee 5
          i64.const 8
          i64.sub
          local.set 44
          local.get 41
          i32.wrap_i64
          i64.const 2097163
          i64.store offset=0x33ffff0
          local.get 44
          local.set 5
          local.get 37
          i32.const 2
          i32.sub
          local.set 37
          local.get 1
          i32.wrap_i64
          i64.extend_i32_u
          local.tee 45
          local.tee 43
          i64.const 1
          i64.add
          local.tee 42
          i32.wrap_i64
          i64.extend_i32_u
          local.set 1
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
          call 19
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
          local.get 35
          i32.wrap_i64
          i32.const 1
          i32.and
          i64.extend_i32_u
          local.set 46
          local.get 43
          local.set 33
          i64.const 1
          local.set 34
          local.get 46
          local.set 34
          local.get 5
          local.set 46
          local.get 41
          i32.wrap_i64
          i64.load offset=0x33ffff0
          local.tee 45
          i64.const 2097163
          i64.ne
          if
            i32.const 46137440
            local.set 39
            i32.const 26
            local.set 36
            br 2
          end
          local.get 46
          i64.const 8
          i64.add
          local.tee 43
          local.set 5
          local.get 37
          i32.const 3
          i32.sub
          local.set 37
          local.get 5
          local.set 42
          local.get 41
          i32.wrap_i64
          i64.load offset=0x33ffff8
          local.set 47
          local.get 42
          i64.const 8
          i64.add
          local.tee 48
          local.set 5
          local.get 47
          local.set 3
          local.get 2
          i32.wrap_i64
          i64.extend_i32_u
          local.tee 42
          local.tee 48
          i64.const 1
          i64.sub
          local.tee 47
          i32.wrap_i64
          i64.extend_i32_u
          local.set 2
          local.get 34
          i32.wrap_i64
          i64.extend_i32_u
          local.set 49
          local.get 48
          local.set 33
          i64.const 1
          local.set 34
          local.get 49
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
            i32.const 7
            i32.lt_s
            if
              i32.const 46137456
              local.set 39
              i32.const 30
              local.set 36
              br 3
            end
            br 1
          else
            i64.const 2097168
            local.set 38
            i32.const 1048584
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
      local.set 50
      local.get 39
      local.get 50
      i32.store offset=0xc
      i64.const -9223372036854775808
      local.set 38
      local.get 50
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
    local.get 1
    i64.store ;; rax
    i32.const 0
    local.get 2
    i64.store offset=0x8 ;; rcx
    i32.const 0
    local.get 3
    i64.store offset=0x10 ;; rdx
    i32.const 0
    local.get 5
    i64.store offset=0x20 ;; rsp
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
local.get 1
i64.store ;; rax
i32.const 0
local.get 2
i64.store offset=0x8 ;; rcx
i32.const 0
local.get 3
i64.store offset=0x10 ;; rdx
i32.const 0
local.get 5
i64.store offset=0x20 ;; rsp
i32.const 0
local.get 37
i32.store offset=0x270 ;; BUDGET
local.get 40
i32.load
local.tee 51
if
  local.get 0
  local.get 51
  return_call_indirect (type 0) 0
end
local.get 38
return
unreachable
