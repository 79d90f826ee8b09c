/* What solo5_exit() asks of the block devices. */
#ifndef SOLO5_BLOCK_H
#define SOLO5_BLOCK_H

/* Makes what was written to the acquired block devices durable. */
void flush_block_devices(void);

#endif
