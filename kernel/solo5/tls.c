#include <kernel/tls.h>
#include <solo5.h>

#define CANONICAL_BITS 47

size_t solo5_tls_size(void)
{
    return tls_block_size();
}

uintptr_t solo5_tls_tp_offset(uintptr_t tls)
{
    return tls_thread_pointer(tls);
}

solo5_result_t solo5_tls_init(uintptr_t tls)
{
    if (tls == 0)
        return SOLO5_R_EINVAL;
    tls_block_init(tls);
    return SOLO5_R_OK;
}

solo5_result_t solo5_set_tls_base(uintptr_t base)
{
    /* The processor faults on other addresses: bits 47 to 63 are all equal. */
    intptr_t high = (intptr_t)base >> CANONICAL_BITS;
    if (high != 0 && high != -1)
        return SOLO5_R_EINVAL;
    tls_set_thread_pointer(base);
    return SOLO5_R_OK;
}
