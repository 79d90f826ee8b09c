/*
 * Handles: which device an application knows by which number and name.
 *
 * A device that the manifest names has the number of its manifest entry, as on
 * Solo5; the n-th entry of a type stands for the n-th device of that type on
 * the PCI bus. A name that the manifest lacks gets the next device of the type
 * that no entry stands for. So an application without a manifest gets the
 * first device for the first name, the second for the second.
 */
#ifndef SOLO5_HANDLES_H
#define SOLO5_HANDLES_H

#include <mft_abi.h>
#include <solo5.h>
#include <stdbool.h>

/* As many as solo5_handle_set_t has bits. */
#define MAX_HANDLES 64

/* Finds the handle that `name` is to get, and which device of the type it
 * stands for. False if the name has been acquired already, or cannot be. */
bool handle_choose(const char *name, mft_type_t type, solo5_handle_t *handle,
                   unsigned *device_index);

/* Remembers that the handle stands for `device` from now on. After
 * handle_choose(), once the device has been opened. */
void handle_assign(solo5_handle_t handle, const char *name, mft_type_t type,
                   void *device);

/* Returns the device behind a handle, or NULL if there is none of that type. */
void *handle_device(solo5_handle_t handle, mft_type_t type);

#endif
