//! The calls of NVML that `nvml-wrapper` does not wrap, or not whole.
//!
//! Invariant: they go to the same library that the wrapper has initialized, while it is: a [`Raw`] lives with its `Nvml`.
#![allow(unsafe_code)]

use std::{ffi::OsStr, mem};

use nvml_wrapper::Device;
use nvml_wrapper_sys::bindings::{NvmlLib, nvmlFieldValue_t, nvmlGridLicensableFeatures_t};

/// `NVML_SUCCESS`.
const SUCCESS: u32 = 0;
/// All links together, as a field's scope.
const ALL_LINKS: u32 = u32::MAX;
/// `NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX` and `_RX`, in KiB.
const NVLINK_DATA: [u32; 2] = [138, 139];

/// The library's symbols.
pub(super) struct Raw {
    library: NvmlLib,
}

impl Raw {
    /// Opens the library again, which yields the one that is open. `None` where that fails.
    pub(super) fn open(path: &OsStr) -> Option<Self> {
        // SAFETY: loading runs the library's initializers, which ran when the wrapper loaded it.
        unsafe { NvmlLib::new(path) }.ok().map(|library| Self { library })
    }

    /// The GPU instance of a MIG device.
    pub(super) fn gpu_instance(&self, device: &Device<'_>) -> Option<u32> {
        let call = self.library.nvmlDeviceGetGpuInstanceId.as_ref().ok()?;
        let mut id = 0;
        // SAFETY: the handle is of a live device of this library, and `id` is a number that the call writes.
        let result = unsafe { call(device.handle(), &raw mut id) };
        (result == SUCCESS).then_some(id)
    }

    /// KiB sent and received over all links since the driver was loaded.
    pub(super) fn nvlink_kib(&self, device: &Device<'_>) -> Option<u64> {
        let call = self.library.nvmlDeviceGetFieldValues.as_ref().ok()?;
        let mut fields = NVLINK_DATA.map(|id| {
            // SAFETY: the structure is plain numbers, for which zero bytes are valid values.
            let mut field: nvmlFieldValue_t = unsafe { mem::zeroed() };
            (field.fieldId, field.scopeId) = (id, ALL_LINKS);
            field
        });
        // SAFETY: the handle is of a live device of this library, and the array is as long as it is said to be.
        let result = unsafe { call(device.handle(), fields.len() as i32, fields.as_mut_ptr()) };
        let is_read = result == SUCCESS && fields.iter().all(|field| field.nvmlReturn == SUCCESS);
        // SAFETY: both fields are of the type "unsigned long long" (nvml.h), which any bytes are.
        is_read.then(|| fields.iter().map(|field| unsafe { field.value.ullVal }).sum())
    }

    /// Whether the first licensable feature is licensed; `None` where there is none.
    pub(super) fn vgpu_license(&self, device: &Device<'_>) -> Option<u32> {
        let call = self.library.nvmlDeviceGetGridLicensableFeatures_v4.as_ref().ok()?;
        // SAFETY: the structure is plain numbers and characters, for which zero bytes are valid values.
        let mut features: nvmlGridLicensableFeatures_t = unsafe { mem::zeroed() };
        // SAFETY: the handle is of a live device of this library, and the structure is of the call's version.
        let result = unsafe { call(device.handle(), &raw mut features) };
        let is_there = result == SUCCESS && features.licensableFeaturesCount > 0;
        is_there.then_some(features.gridLicensableFeatures[0].featureState)
    }
}
