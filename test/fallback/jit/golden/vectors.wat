200005: movups xmm0, xmmword ptr [rbx]
200008  addps xmm0, xmm1
20000b  paddd xmm2, xmm0
20000f  cvttsd2si eax, xmm2
200013  movups xmmword ptr [rbx], xmm0
200016  dec ecx
200018  jne 0x200005

(local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 v128 v128 v128 v128 f64 i64 i64 i64 i32 i32)
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
i64.load offset=0x18 ;; rbx
local.set 4
i32.const 0
v128.load offset=0x4a0 ;; xmm0
local.set 17
i32.const 0
v128.load offset=0x4b0 ;; xmm1
local.set 18
i32.const 0
v128.load offset=0x4c0 ;; xmm2
local.set 19
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
          i32.const 46137440
          local.set 39
          br 2
        end
        i32.const 0
        i32.load offset=0x418 ;; MXCSR
        i32.const 28704
        i32.and
        i32.const 4128
        i32.eq
        i32.eqz
        if
          i32.const 46137344
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
          i32.const 7
          i32.sub
          local.set 37
          local.get 4
          local.tee 42
          i64.const 4194273
          i64.ge_u
          if
            i32.const 0
            local.get 42
            i64.store offset=0x88 ;; ADDRESS
            i32.const 46137360
            local.set 39
            br 2
          end
          local.get 42
          i32.wrap_i64
          v128.load offset=0x3400000 ;; RAM
          local.tee 43
          local.set 17
          local.get 18
          local.set 43
          local.get 17
          local.tee 44
          local.get 43
          f32x4.add
          local.set 45
          local.get 44
          f32x4.abs
          local.get 43
          f32x4.abs
          f32x4.pmin
          v128.const 0 0 128 0 0 0 128 0 0 0 128 0 0 0 128 0
          f32x4.ge
          local.get 45
          f32x4.abs
          v128.const 0 0 128 0 0 0 128 0 0 0 128 0 0 0 128 0
          f32x4.gt
          local.get 45
          f32x4.abs
          v128.const 0 0 128 127 0 0 128 127 0 0 128 127 0 0 128 127
          f32x4.lt
          v128.and
          v128.and
          i32x4.all_true
          i32.eqz
          if
            local.get 44
            f32x4.abs
            v128.const 0 0 128 0 0 0 128 0 0 0 128 0 0 0 128 0
            f32x4.ge
            local.get 44
            v128.const 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
            f32x4.eq
            v128.or
            local.get 43
            f32x4.abs
            v128.const 0 0 128 0 0 0 128 0 0 0 128 0 0 0 128 0
            f32x4.ge
            local.get 43
            v128.const 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
            f32x4.eq
            v128.or
            v128.and
            local.get 45
            f32x4.abs
            v128.const 0 0 128 0 0 0 128 0 0 0 128 0 0 0 128 0
            f32x4.gt
            local.get 45
            f32x4.abs
            v128.const 0 0 128 127 0 0 128 127 0 0 128 127 0 0 128 127
            f32x4.lt
            v128.and
            local.get 45
            v128.const 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
            f32x4.eq
            v128.or
            v128.and
            local.tee 46
            i32x4.all_true
            i32.eqz
            if
              i32.const 46137376
              local.set 39
              br 3
            end
          end
          local.get 45
          local.tee 17
          local.set 46
          local.get 19
          local.tee 45
          local.get 46
          i32x4.add
          local.tee 19
          v128.const 255 255 255 255 255 255 255 255 0 0 0 0 0 0 0 0
          v128.and
          local.tee 46
          f64x2.extract_lane 0
          local.tee 47
          i64.trunc_sat_f64_s
          local.tee 42
          i64.const -2147483647
          i64.sub
          i64.const 4294967294
          i64.lt_u
          local.get 47
          local.get 47
          f64.eq
          i32.and
          i32.eqz
          if
            i32.const 46137392
            local.set 39
            br 2
          end
          local.get 42
          i32.wrap_i64
          i64.extend_i32_u
          local.set 1
          local.get 17
          local.set 46
          local.get 4
          local.tee 42
          i32.const 0
          i64.load offset=0x260 ;; general write window
          i64.sub
          i32.const 0
          i64.load offset=0x268 ;; its length
          i64.ge_u
          if
            i32.const 0
            local.get 42
            i64.store offset=0x88 ;; ADDRESS
            i32.const 46137408
            local.set 39
            br 2
          end
          local.get 42
          i32.wrap_i64
          local.get 46
          v128.store offset=0x3400000 ;; RAM
          local.get 2
          i32.wrap_i64
          i64.extend_i32_u
          local.tee 49
          local.tee 42
          i64.const 1
          i64.sub
          local.tee 48
          i32.wrap_i64
          i64.extend_i32_u
          local.set 2
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
          local.set 50
          local.get 42
          local.set 33
          i64.const 1
          local.set 34
          local.get 50
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
              i32.const 46137424
              local.set 39
              i32.const 30
              local.set 36
              br 3
            end
            br 1
          else
            i64.const 2097178
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
      local.set 51
      local.get 39
      local.get 51
      i32.store offset=0xc
      i64.const -9223372036854775808
      local.set 38
      local.get 51
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
    local.get 17
    v128.store offset=0x4a0 ;; xmm0
    i32.const 0
    local.get 19
    v128.store offset=0x4c0 ;; xmm2
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
local.get 17
v128.store offset=0x4a0 ;; xmm0
i32.const 0
local.get 19
v128.store offset=0x4c0 ;; xmm2
i32.const 0
local.get 37
i32.store offset=0x270 ;; BUDGET
local.get 40
i32.load
local.tee 52
if
  local.get 0
  local.get 52
  return_call_indirect (type 0) 0
end
local.get 38
return
unreachable
