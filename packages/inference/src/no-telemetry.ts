/*
 * ONNX Runtime 1.30 reports its use to its makers unless the environment says otherwise when its library is loaded. So this module has an
 * effect, and comes first wherever the library is imported: whoever runs a test or a benchmark should not have to know. Threads read the
 * environment of the process, which only its main thread can set.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'
