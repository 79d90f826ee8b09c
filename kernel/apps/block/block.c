/*
 * Checks the first block device: prints its capacity, writes a pattern over
 * blocks from the first to the last, reads them back and compares, and sees
 * that nothing can be done past the end. A read-only device is only read, and
 * must refuse a write. Exits with status 0 if all is as it should be, else 1.
 *
 *     [blocks=N]
 *
 * N (default 64) is how many blocks to check, spread evenly over the device.
 * What was on those blocks is lost.
 */
#include <solo5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_DEFAULT 64
#define OPTION_BLOCKS  "blocks="

static solo5_handle_t handle;
static struct solo5_block_info device;

/* Fills a block with words that tell its number and their place. */
static void make_pattern(uint64_t *words, uint64_t block)
{
    for (size_t i = 0; i < device.block_size / sizeof(*words); i++)
        words[i] = block * 0x100000001b3 + i;
}

static bool fail(const char *what, uint64_t block, solo5_result_t result)
{
    printf("FAILED: %s block %lu: result %d\n", what, block, result);
    return false;
}

static bool check_block(uint8_t *pattern, uint8_t *read, uint64_t block)
{
    solo5_off_t offset = block * device.block_size;
    make_pattern((uint64_t *)pattern, block);
    solo5_result_t result =
        solo5_block_write(handle, offset, pattern, device.block_size);
    if (result != SOLO5_R_OK)
        return fail("write", block, result);
    memset(read, 0, device.block_size);
    result = solo5_block_read(handle, offset, read, device.block_size);
    if (result != SOLO5_R_OK)
        return fail("read", block, result);
    if (memcmp(pattern, read, device.block_size) != 0)
        return fail("compare", block, result);
    return true;
}

/* Checks `count` blocks, the first and the last among them. */
static bool check_blocks(uint8_t *pattern, uint8_t *read, uint64_t count)
{
    uint64_t blocks = device.capacity / device.block_size;
    if (count > blocks)
        count = blocks;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t block = count > 1 ? i * (blocks - 1) / (count - 1) : 0;
        if (!check_block(pattern, read, block))
            return false;
    }
    printf("%lu blocks written, read back and compared\n", count);
    return true;
}

/* What lies past the end, or is no whole block, must be refused. */
static bool check_refusals(uint8_t *buffer)
{
    size_t size = device.block_size;
    if (solo5_block_read(handle, device.capacity, buffer, size) == SOLO5_R_OK ||
        solo5_block_write(handle, device.capacity, buffer, size) ==
            SOLO5_R_OK) {
        printf("FAILED: the device goes on past its end\n");
        return false;
    }
    if (solo5_block_read(handle, 0, buffer, size - 1) == SOLO5_R_OK ||
        solo5_block_read(handle, 1, buffer, size) == SOLO5_R_OK) {
        printf("FAILED: part of a block was read\n");
        return false;
    }
    printf("past the end: refused\n");
    return true;
}

/* A device that refuses to have its first block rewritten, with what is on it,
 * is read-only. */
static bool is_read_only(uint8_t *buffer)
{
    return solo5_block_read(handle, 0, buffer, device.block_size) ==
               SOLO5_R_OK &&
           solo5_block_write(handle, 0, buffer, device.block_size) !=
               SOLO5_R_OK;
}

int solo5_app_main(const struct solo5_start_info *info)
{
    uint64_t count = BLOCKS_DEFAULT;
    if (strncmp(info->cmdline, OPTION_BLOCKS, strlen(OPTION_BLOCKS)) == 0)
        count = strtoul(info->cmdline + strlen(OPTION_BLOCKS), NULL, 10);

    if (solo5_block_acquire("storage", &handle, &device) != SOLO5_R_OK) {
        printf("no block device for 'storage'\n");
        return SOLO5_EXIT_FAILURE;
    }
    printf("capacity %lu bytes, %lu blocks of %lu bytes\n", device.capacity,
           device.capacity / device.block_size, device.block_size);
    uint8_t *pattern = malloc(device.block_size);
    uint8_t *read = malloc(device.block_size);
    if (pattern == NULL || read == NULL || device.capacity == 0) {
        printf("FAILED: no memory, or an empty device\n");
        return SOLO5_EXIT_FAILURE;
    }

    if (!check_refusals(read))
        return SOLO5_EXIT_FAILURE;
    if (is_read_only(read))
        printf("read-only: read, and a write refused\n");
    else if (!check_blocks(pattern, read, count))
        return SOLO5_EXIT_FAILURE;
    printf("SUCCESS\n");
    return SOLO5_EXIT_SUCCESS;
}
