// Torch tensors as arguments: pointers with types, dimensions and a kind of memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>

namespace gsrecon {

namespace nb = nanobind;

inline void expect(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

// Torch's names, looked up once: when the module is imported, as the interpreter's lock may be let go on the way.
struct Torch {
    nb::object module = nb::module_::import_("torch"), tensor = module.attr("Tensor");
    nb::object float32 = module.attr("float32"), float64 = module.attr("float64"), int32 = module.attr("int32"),
               int64 = module.attr("int64"), uint8 = module.attr("uint8"), boolean = module.attr("bool");
    nb::object dtype = name("dtype"), shape = name("shape"), is_cpu = name("is_cpu"), is_cuda = name("is_cuda"),
               is_contiguous = name("is_contiguous"), stride = name("stride"), data_ptr = name("data_ptr");

    static nb::object name(const char* text) { return nb::steal(PyUnicode_InternFromString(text)); }
    static const Torch& get() {
        static const Torch* torch = new Torch();  // never destroyed: the interpreter is gone before
        return *torch;
    }
};

// Where memory is, by the attribute with which a tensor tells.
struct CpuMemory {
    static constexpr auto attribute = &Torch::is_cpu;
    static constexpr auto name = nb::detail::const_name("on the CPU");
};
struct CudaMemory {
    static constexpr auto attribute = &Torch::is_cuda;
    static constexpr auto name = nb::detail::const_name("on a GPU");
};

template <class T> struct TypeName;
template <> struct TypeName<float> {
    static constexpr auto dtype = &Torch::float32;
    static constexpr auto name = nb::detail::const_name("float32");
};
template <> struct TypeName<double> {
    static constexpr auto dtype = &Torch::float64;
    static constexpr auto name = nb::detail::const_name("float64");
};
template <> struct TypeName<int32_t> {
    static constexpr auto dtype = &Torch::int32;
    static constexpr auto name = nb::detail::const_name("int32");
};
template <> struct TypeName<int64_t> {
    static constexpr auto dtype = &Torch::int64;
    static constexpr auto name = nb::detail::const_name("int64");
};
template <> struct TypeName<uint8_t> {
    static constexpr auto dtype = &Torch::uint8;
    static constexpr auto name = nb::detail::const_name("uint8");
};
template <> struct TypeName<bool> {
    static constexpr auto dtype = &Torch::boolean;
    static constexpr auto name = nb::detail::const_name("bool");
};

// A dense tensor of `dims` dimensions in one kind of memory.
template <class T, int dims, class Memory> class Array {
  public:
    T* data() const { return data_; }
    int64_t shape(int i) const { return sizes_[i]; }
    int64_t size() const {
        int64_t product = 1;
        for (int64_t length : sizes_) product *= length;
        return product;
    }

  private:
    friend nb::detail::type_caster<Array>;
    T* data_ = nullptr;
    int64_t sizes_[dims] = {};
};

// A dense tensor of any dimensions, row by row: those behind the first are one. A number is a row, too.
template <class T, class Memory> struct Rows {
    T* data = nullptr;
    int64_t rows = 1, width = 1;
};

// Rows [cameras, rows, width] of a larger tensor: dense but for the step from one camera to the next.
template <class T, class Memory> struct CameraRows {
    T* data = nullptr;
    int64_t cameras = 0, rows = 0, width = 0, camera_stride = 0;
};

template <class A> using Maybe = std::optional<A>;

// Arrays in one kind of memory, by their dimensions; inputs are floats that are only read.
template <class Kind> struct ArraysIn {
    using Memory = Kind;
    template <class T> using Array1 = Array<T, 1, Memory>;
    template <class T> using Array2 = Array<T, 2, Memory>;
    template <class T> using Array3 = Array<T, 3, Memory>;
    template <class T> using Array4 = Array<T, 4, Memory>;
    using Input1 = Array1<const float>;
    using Input2 = Array2<const float>;
    using Input3 = Array3<const float>;
    using Input4 = Array4<const float>;
};

template <class T, int dims, class Memory> T* pointer(const std::optional<Array<T, dims, Memory>>& array) {
    return array ? array->data() : nullptr;
}

// Whether an object is a tensor of that type and place whose `layout` is one that is taken; then tells where its data
// is. Each question to a tensor takes some 50 ns, where DLPack takes microseconds.
template <class Layout>
bool read_tensor(PyObject* object, nb::object Torch::* dtype, nb::object Torch::* memory, void** data, Layout layout) {
    const Torch& torch = Torch::get();
    if (!PyType_IsSubtype(Py_TYPE(object), reinterpret_cast<PyTypeObject*>(torch.tensor.ptr()))) return false;
    try {
        const nb::handle tensor = object;
        const auto ask = [&](const nb::object& method) {
            PyObject* answer = PyObject_CallMethodNoArgs(object, method.ptr());
            if (!answer) throw nb::python_error();
            return nb::steal(answer);
        };
        if (!nb::object(tensor.attr(torch.dtype)).is(torch.*dtype)) return false;
        if (!nb::object(tensor.attr(torch.*memory)).is(nb::handle(Py_True))) return false;
        const nb::object shape = tensor.attr(torch.shape);
        if (!layout(shape, ask)) return false;
        *data = PyLong_AsVoidPtr(ask(torch.data_ptr).ptr());
        return true;
    } catch (nb::python_error&) {  // a tensor without memory, say
        return false;
    }
}

inline int64_t entry(const nb::object& tuple, int64_t i) { return PyLong_AsLongLong(PyTuple_GET_ITEM(tuple.ptr(), i)); }

}  // namespace gsrecon

namespace nanobind::detail {

template <class T, int dims, class Memory> struct type_caster<gsrecon::Array<T, dims, Memory>> {
    using Own = gsrecon::Array<T, dims, Memory>;
    using Type = gsrecon::TypeName<std::remove_const_t<T>>;
    NB_TYPE_CASTER(Own, const_name("torch.Tensor[dense ") + Type::name + const_name(", ") + const_name<(size_t)dims>() +
                            const_name("-d, ") + Memory::name + const_name("]"))

    bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
        void* data = nullptr;
        const auto dense = [&](const object& shape, const auto& ask) {
            if (PyTuple_GET_SIZE(shape.ptr()) != dims) return false;
            for (int i = 0; i < dims; i++) value.sizes_[i] = gsrecon::entry(shape, i);
            return ask(gsrecon::Torch::get().is_contiguous).is(handle(Py_True));
        };
        if (!gsrecon::read_tensor(source.ptr(), Type::dtype, Memory::attribute, &data, dense)) return false;
        value.data_ = static_cast<T*>(data);
        return true;
    }
};

template <class T, class Memory> struct type_caster<gsrecon::Rows<T, Memory>> {
    using Own = gsrecon::Rows<T, Memory>;
    using Type = gsrecon::TypeName<std::remove_const_t<T>>;
    NB_TYPE_CASTER(Own,
                   const_name("torch.Tensor[dense ") + Type::name + const_name(", ") + Memory::name + const_name("]"))

    bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
        void* data = nullptr;
        const auto dense = [&](const object& shape, const auto& ask) {
            const int64_t dims = PyTuple_GET_SIZE(shape.ptr());
            value.rows = dims > 0 ? gsrecon::entry(shape, 0) : 1;
            value.width = 1;
            for (int64_t i = 1; i < dims; i++) value.width *= gsrecon::entry(shape, i);
            return ask(gsrecon::Torch::get().is_contiguous).is(handle(Py_True));
        };
        if (!gsrecon::read_tensor(source.ptr(), Type::dtype, Memory::attribute, &data, dense)) return false;
        value.data = static_cast<T*>(data);
        return true;
    }
};

template <class T, class Memory> struct type_caster<gsrecon::CameraRows<T, Memory>> {
    using Own = gsrecon::CameraRows<T, Memory>;
    using Type = gsrecon::TypeName<std::remove_const_t<T>>;
    NB_TYPE_CASTER(Own, const_name("torch.Tensor[") + Type::name +
                            const_name(", 3-d, dense but for the first dimension, ") + Memory::name + const_name("]"))

    bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
        void* data = nullptr;
        const auto dense_rows = [&](const object& shape, const auto& ask) {
            if (PyTuple_GET_SIZE(shape.ptr()) != 3) return false;
            value.cameras = gsrecon::entry(shape, 0);
            value.rows = gsrecon::entry(shape, 1);
            value.width = gsrecon::entry(shape, 2);
            const object stride = ask(gsrecon::Torch::get().stride);
            value.camera_stride = gsrecon::entry(stride, 0);
            return (gsrecon::entry(stride, 1) == value.width || value.rows <= 1) &&
                   (gsrecon::entry(stride, 2) == 1 || value.width <= 1);
        };
        if (!gsrecon::read_tensor(source.ptr(), Type::dtype, Memory::attribute, &data, dense_rows)) return false;
        value.data = static_cast<T*>(data);
        return true;
    }
};

}  // namespace nanobind::detail
