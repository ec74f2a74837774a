// The private extension lamina.streaming._native. NumPy arrays come in by the buffer protocol and go out as
// new arrays: a step of a small network takes less time than one more conversion would.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "forecasts.h"
#include "model.h"
#include "streamer.h"

namespace nb = nanobind;

namespace {

using namespace lamina::streaming;
using lamina::Size;
using Array = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

constexpr Size kLongRun = 20'000'000;  // multiplications, about a millisecond: worth giving up the GIL for

[[noreturn]] void data_error(const std::string& message) {
  static PyObject* const type = [] {
    PyObject* found = nb::module_::import_("lamina.errors").attr("DataError").ptr();
    Py_INCREF(found);
    return found;
  }();
  PyErr_SetString(type, message.c_str());
  throw nb::python_error();
}

Given given(const nb::object& array) {
  if (array.is_none()) return {};
  const Array a = nb::cast<Array>(array);
  if (a.ndim() == 1) return {a.data(), 1, static_cast<Size>(a.shape(0))};
  return {a.data(), static_cast<Size>(a.shape(0)), static_cast<Size>(a.shape(1))};
}

// The numbers of an argument: an array of float32 or float64 in C order as it is, all else through `convert`.
class Numbers {
 public:
  Numbers(nb::handle x, const nb::object& convert) {
    if (!open(x.ptr())) {
      converted_ = convert(x);
      if (!open(converted_.ptr())) throw std::runtime_error("convert must give an array of float64 in C order");
    }
  }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  ~Numbers() {
    if (open_) PyBuffer_Release(&view_);
  }

  bool is_double() const { return view_.itemsize == 8; }
  const void* data() const { return view_.buf; }
  int axes() const { return view_.ndim; }
  Size length(int axis) const { return view_.shape[axis]; }
  Size count() const { return view_.len / view_.itemsize; }
  double value(Size i) const {
    return is_double() ? static_cast<const double*>(data())[i] : static_cast<double>(static_cast<const float*>(data())[i]);
  }
  std::string shape() const {
    std::string text = "(";
    for (int axis = 0; axis < view_.ndim; ++axis) text += (axis ? ", " : "") + std::to_string(view_.shape[axis]);
    return text + (view_.ndim == 1 ? ",)" : ")");
  }

 private:
  bool open(PyObject* x) {
    if (!PyObject_CheckBuffer(x) || PyObject_GetBuffer(x, &view_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
      PyErr_Clear();
      return false;
    }
    const char* const format = view_.format;
    open_ = format != nullptr && (std::strcmp(format, "f") == 0 || std::strcmp(format, "d") == 0);
    if (!open_) PyBuffer_Release(&view_);
    return open_;
  }

  Py_buffer view_{};
  nb::object converted_;
  bool open_ = false;
};

std::string_view key_of(nb::handle key) {
  if (!PyUnicode_Check(key.ptr()))
    data_error(std::string("a key is a string, but one is of type ") + Py_TYPE(key.ptr())->tp_name + ". Use for example key=str(number).");
  Py_ssize_t length;
  const char* const text = PyUnicode_AsUTF8AndSize(key.ptr(), &length);
  if (text == nullptr) {
    PyErr_Clear();
    data_error("a key is text that UTF-8 can write, but one holds a lone surrogate. Use another name.");
  }
  if (length > KeyedStates::kLongestKey)
    data_error("a key has at most " + std::to_string(KeyedStates::kLongestKey) + " bytes, but one has " + std::to_string(length) +
               ". Use a shorter name, such as a hash of it.");
  return {text, static_cast<std::size_t>(length)};
}

// A new array of NumPy: np.empty(shape, dtype).
class NewArray {
 public:
  NewArray(nb::handle empty, PyObject* shape, nb::handle dtype) {
    PyObject* arguments[] = {shape, dtype.ptr()};
    array_ = nb::steal(PyObject_Vectorcall(empty.ptr(), arguments, 2, nullptr));
    if (!array_.is_valid() || PyObject_GetBuffer(array_.ptr(), &view_, PyBUF_WRITABLE) != 0) throw nb::python_error();
  }
  NewArray(const NewArray&) = delete;
  NewArray& operator=(const NewArray&) = delete;
  ~NewArray() { PyBuffer_Release(&view_); }
  void* data() const { return view_.buf; }
  nb::object take() { return std::move(array_); }

 private:
  nb::object array_;
  Py_buffer view_{};
};

// A session is used by one thread at a time; a second one is told so.
class Turn {
 public:
  explicit Turn(bool& busy) : busy_(busy) {
    if (busy_) data_error("this session is in use by another thread. Give each thread a session of its own.");
    busy_ = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { busy_ = false; }

 private:
  bool& busy_;
};

// Keys and states as bytes: for each key its length (4 bytes), itself and its state, least recently used first.
nb::bytes dump(const KeyedStates& keys) {
  std::size_t total = 0;
  keys.each([&](const std::string& key, const char*) { total += 4 + key.size() + static_cast<std::size_t>(keys.state_bytes()); });
  PyObject* const made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(total));
  if (made == nullptr) throw nb::python_error();
  char* to = PyBytes_AS_STRING(made);
  keys.each([&](const std::string& key, const char* state) {
    const std::uint32_t length = static_cast<std::uint32_t>(key.size());
    std::memcpy(to, &length, 4);
    std::memcpy(to + 4, key.data(), key.size());
    std::memcpy(to + 4 + key.size(), state, static_cast<std::size_t>(keys.state_bytes()));
    to += 4 + key.size() + static_cast<std::size_t>(keys.state_bytes());
  });
  return nb::steal<nb::bytes>(made);
}

// The inverse of dump. Everything is checked before anything changes.
void load(KeyedStates& keys, const nb::bytes& saved) {
  const std::size_t state_bytes = static_cast<std::size_t>(keys.state_bytes());
  const auto walk = [&](auto&& visit) {
    const char *at = saved.c_str(), *const end = at + saved.size();
    while (at != end) {
      std::uint32_t length = 0;
      if (end - at < 4) return false;
      std::memcpy(&length, at, 4);
      if (length > KeyedStates::kLongestKey || static_cast<std::size_t>(end - at) < 4 + length + state_bytes) return false;
      visit(std::string_view(at + 4, length), at + 4 + length);
      at += 4 + length + state_bytes;
    }
    return true;
  };
  Size count = 0;
  if (!walk([&](std::string_view, const char*) { ++count; })) data_error("the states of this snapshot are cut off or damaged.");
  if (count > keys.most_keys())
    data_error("the snapshot holds " + std::to_string(count) + " keys, and this session keeps at most " + std::to_string(keys.most_keys()) +
               ". Open it with a larger max_keys.");
  keys.clear();
  walk([&](std::string_view key, const char* state) {
    Size number;
    std::memcpy(keys.touch(key, &number), state, state_bytes);
  });
}

class Session {
 public:
  Session(nb::object model, Size most_keys, std::vector<double> mean, std::vector<double> scale, std::vector<Size> gaps, bool chances,
          nb::object convert)
      : owner_(std::move(model)),
        streamer_(nb::cast<Model&>(owner_), most_keys, {std::move(mean), std::move(scale), std::move(gaps)}),
        chances_(chances),
        convert_(std::move(convert)) {
    const nb::module_ numpy = nb::module_::import_("numpy");
    empty_ = numpy.attr("empty");
    dtype_ = numpy.attr("dtype")(chances ? "float64" : "float32");
    width_ = nb::int_(streamer_.outputs());
    scratch_.resize(static_cast<std::size_t>(streamer_.outputs()));
  }

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  nb::object step(nb::handle x, nb::handle key) {
    const std::string_view name = key_of(key);
    const Numbers numbers(x, convert_);
    require_row(numbers);
    const Turn turn(busy_);
    NewArray out(empty_, width_.ptr(), dtype_);
    run(numbers, 1, &name, out.data());
    return out.take();
  }

  nb::object peek(nb::handle x, nb::handle key) {
    const std::string_view name = key_of(key);
    const Numbers numbers(x, convert_);
    require_row(numbers);
    const Turn turn(busy_);
    NewArray out(empty_, width_.ptr(), dtype_);
    float* const scores = scores_of(1, out.data());
    if (numbers.is_double()) {
      streamer_.peek(static_cast<const double*>(numbers.data()), name, scores);
    } else {
      streamer_.peek(static_cast<const float*>(numbers.data()), name, scores);
    }
    if (chances_) write_chances(1, static_cast<double*>(out.data()));
    return out.take();
  }

  nb::object step_many(nb::handle x, nb::handle keys) {
    const nb::object sequence = nb::steal(PySequence_Fast(keys.ptr(), "keys are a list of strings"));
    if (!sequence.is_valid() || PyUnicode_Check(keys.ptr())) {
      PyErr_Clear();
      data_error("keys are a list of strings, one for each row, but are something else.");
    }
    const Size rows = PySequence_Fast_GET_SIZE(sequence.ptr());
    const Numbers numbers(x, convert_);
    if (numbers.axes() != 2 || numbers.length(0) != rows || numbers.length(1) != streamer_.inputs())
      data_error("rows have the shape (" + std::to_string(rows) + ", " + std::to_string(streamer_.inputs()) + ") for " +
                 std::to_string(rows) + " keys, but these have " + numbers.shape() + ". Give one row for each key.");
    require_sound(numbers);
    const Turn turn(busy_);
    names_.clear();
    PyObject** const items = PySequence_Fast_ITEMS(sequence.ptr());
    for (Size row = 0; row < rows; ++row) names_.push_back(key_of(items[row]));
    const nb::object shape = nb::make_tuple(rows, streamer_.outputs());
    NewArray out(empty_, shape.ptr(), dtype_);
    if (rows * streamer_.model().multiplications() >= kLongRun) {
      nb::gil_scoped_release unlocked;
      run(numbers, rows, names_.data(), out.data());
    } else {
      run(numbers, rows, names_.data(), out.data());
    }
    return out.take();
  }

  KeyedStates& keys() { return streamer_.keys(); }
  bool& busy() { return busy_; }

 private:
  void require_row(const Numbers& numbers) const {
    if (numbers.axes() != 1 || numbers.count() != streamer_.inputs())
      data_error("a row has the shape (" + std::to_string(streamer_.inputs()) + ",), but this one has " + numbers.shape() +
                 ". Give one number for each input; for many keys in one call use step_many.");
    require_sound(numbers);
  }

  void require_sound(const Numbers& numbers) const {
    const Size fault = numbers.is_double() ? streamer_.first_fault(static_cast<const double*>(numbers.data()), numbers.count())
                                           : streamer_.first_fault(static_cast<const float*>(numbers.data()), numbers.count());
    if (fault < 0) return;
    const double value = numbers.value(fault);
    data_error("input " + std::to_string(fault % streamer_.inputs()) + " of row " + std::to_string(fault / streamer_.inputs()) + " is " +
               (std::isnan(value)   ? "missing, and was never missing where the model was fitted. Fill it, or fit on data with gaps."
                : std::isinf(value) ? "infinite. Rows hold finite numbers; leave this one out or mend it."
                                    : "too large. A network reads numbers up to 1e18, after they are standardised; leave this row out or mend it."));
  }

  void run(const Numbers& numbers, Size rows, const std::string_view* names, void* out) {
    float* const scores = scores_of(rows, out);
    if (numbers.is_double()) {
      streamer_.step(static_cast<const double*>(numbers.data()), rows, names, scores);
    } else {
      streamer_.step(static_cast<const float*>(numbers.data()), rows, names, scores);
    }
    if (chances_) write_chances(rows, static_cast<double*>(out));
  }

  // Where a network writes its answers: into the array that goes out, or beside it where chances are made of them.
  float* scores_of(Size rows, void* out) {
    if (!chances_) return static_cast<float*>(out);
    scratch_.resize(static_cast<std::size_t>(rows * streamer_.outputs()));
    return scratch_.data();
  }

  void write_chances(Size rows, double* chances) const {
    const Size classes = streamer_.outputs();
    for (Size row = 0; row < rows; ++row) {
      const float* const scores = scratch_.data() + row * classes;
      double total = 0, largest = scores[0];
      for (Size i = 1; i < classes; ++i) largest = scores[i] > largest ? scores[i] : largest;
      for (Size i = 0; i < classes; ++i) total += chances[row * classes + i] = std::exp(scores[i] - largest);
      for (Size i = 0; i < classes; ++i) chances[row * classes + i] /= total;
    }
  }

  nb::object owner_;  // keeps the model alive
  Streamer streamer_;
  bool chances_, busy_ = false;
  nb::object convert_, empty_, dtype_, width_;
  std::vector<std::string_view> names_;
  std::vector<float> scratch_;
};

class ForecastSession {
 public:
  ForecastSession(nb::object model, Size most_keys, ForecastForm form) : owner_(std::move(model)), forecasts_(nb::cast<Model&>(owner_), most_keys, std::move(form)) {}
  ForecastSession(const ForecastSession&) = delete;
  ForecastSession& operator=(const ForecastSession&) = delete;

  // The key that was forgotten to make room, or None.
  nb::object push(nb::handle key, nb::handle numbers, Size skipped, nb::handle time) {
    const std::string_view name = key_of(key);
    const Turn turn(busy_);
    read(numbers);
    const std::int64_t when = time.is_none() ? kNoTime : nb::cast<std::int64_t>(time);
    const Size before = keys().evicted();
    forecasts_.push(name, row_.data(), skipped, when);
    if (keys().evicted() == before) return nb::none();
    const std::string& forgotten = keys().last_evicted();
    return nb::str(forgotten.data(), forgotten.size());
  }

  // The place of the first of a row's numbers that the network cannot read, or -1.
  Size first_fault(nb::handle numbers) {
    const Turn turn(busy_);
    read(numbers);
    return forecasts_.first_fault(row_.data());
  }

  Forecasts& forecasts() { return forecasts_; }
  KeyedStates& keys() { return forecasts_.keys(); }
  bool& busy() { return busy_; }

 private:
  // numbers: a list or tuple of floats, which Python makes faster than an array.
  void read(nb::handle numbers) {
    const nb::object sequence = nb::steal(PySequence_Fast(numbers.ptr(), "a row's numbers are a list"));
    if (!sequence.is_valid()) throw nb::python_error();
    const Size count = forecasts_.row_size();
    if (PySequence_Fast_GET_SIZE(sequence.ptr()) != count) throw std::invalid_argument("a row has " + std::to_string(count) + " numbers");
    row_.resize(static_cast<std::size_t>(count));
    PyObject** const items = PySequence_Fast_ITEMS(sequence.ptr());
    for (Size i = 0; i < count; ++i) {
      row_[static_cast<std::size_t>(i)] = PyFloat_AsDouble(items[i]);
      if (PyErr_Occurred()) throw nb::python_error();
    }
  }

  nb::object owner_;
  Forecasts forecasts_;
  std::vector<double> row_;
  bool busy_ = false;
};

// What sessions of every kind can do with their keys.
template <class S>
void bind_keys(nb::class_<S>& type) {
  type.def("__len__", [](S& s) { const Turn turn(s.busy()); return s.keys().size(); })
      .def("reset", [](S& s, nb::handle key) { const Turn turn(s.busy()); return s.keys().forget(key_of(key)); }, nb::arg("key").none())
      .def("clear", [](S& s) { const Turn turn(s.busy()); s.keys().clear(); })
      .def("knows", [](S& s, nb::handle key) { const Turn turn(s.busy()); return s.keys().find(key_of(key)) != nullptr; }, nb::arg("key").none())
      .def("keys", [](S& s) {
        const Turn turn(s.busy());
        nb::list found;
        s.keys().each([&](const std::string& key, const char*) { found.append(nb::str(key.data(), key.size())); });
        return found;
      })
      .def("dump", [](S& s) { const Turn turn(s.busy()); return dump(s.keys()); })
      .def("load", [](S& s, const nb::bytes& saved) { const Turn turn(s.busy()); load(s.keys(), saved); })
      .def_prop_ro("max_keys", [](S& s) { return s.keys().most_keys(); })
      .def_prop_ro("evicted", [](S& s) { const Turn turn(s.busy()); return s.keys().evicted(); })
      .def_prop_ro("state_bytes", [](S& s) { return s.keys().state_bytes(); })
      .def_prop_ro("bytes", [](S& s) { const Turn turn(s.busy()); return s.keys().bytes(); })
      .def_prop_ro("bound_bytes", [](S& s) { return s.keys().bound_bytes(); });
}

Columns columns_of(std::vector<double> mean, std::vector<double> scale, std::vector<Size> gaps) {
  return {std::move(mean), std::move(scale), std::move(gaps)};
}

void bind_forecasts(nb::module_& m) {
  nb::class_<Columns>(m, "Columns").def("__init__", [](Columns* self, std::vector<double> mean, std::vector<double> scale, std::vector<Size> gaps) {
    new (self) Columns(columns_of(std::move(mean), std::move(scale), std::move(gaps)));
  });
  nb::class_<ForecastForm>(m, "ForecastForm")
      .def(nb::init<>())
      .def_rw("horizon", &ForecastForm::horizon)
      .def_rw("input_size", &ForecastForm::input_size)
      .def_rw("segment", &ForecastForm::segment)
      .def_rw("levels", &ForecastForm::levels)
      .def_rw("season", &ForecastForm::season)
      .def_rw("calendar", &ForecastForm::calendar)
      .def_rw("gaps", &ForecastForm::gaps)
      .def_rw("past", &ForecastForm::past)
      .def_rw("future", &ForecastForm::future)
      .def_rw("fixed", &ForecastForm::fixed)
      .def_rw("calibration", &ForecastForm::calibration);
  nb::class_<ForecastSession> type(m, "ForecastSession");
  type.def(nb::init<nb::object, Size, ForecastForm>())
      .def("set_head", [](ForecastSession& s, nb::object w, nb::object b) { s.forecasts().set_head(given(w), given(b)); })
      .def("set_highway", [](ForecastSession& s, nb::object w, nb::object b) { s.forecasts().set_highway(given(w), given(b)); })
      .def("set_known",
           [](ForecastSession& s, nb::object a, nb::object b, nb::object c, nb::object d, nb::object e, nb::object f) {
             s.forecasts().set_known(given(a), given(b), given(c), given(d), given(e), given(f));
           })
      .def("head",
           [](ForecastSession& s, nb::handle key) -> nb::object {
             const Turn turn(s.busy());
             WindowHead head;
             if (!s.forecasts().head(key_of(key), &head)) return nb::none();
             return nb::make_tuple(head.rows, head.time == kNoTime ? nb::none() : nb::object(nb::int_(head.time)));
           })
      .def("push", &ForecastSession::push, nb::arg("key"), nb::arg("numbers"), nb::arg("skipped"), nb::arg("time").none())
      .def("ready", [](ForecastSession& s, nb::handle key) { const Turn turn(s.busy()); return s.forecasts().ready(key_of(key)); })
      .def("first_fault", &ForecastSession::first_fault)
      .def("first_fault_ahead", [](ForecastSession& s, Array known) { return s.forecasts().first_fault_ahead(known.data(), static_cast<Size>(known.shape(0))); })
      .def("forecast", [](ForecastSession& s, nb::handle key, Array known, Array calendar, nb::ndarray<double, nb::c_contig> out) {
        const Turn turn(s.busy());
        s.forecasts().forecast(key_of(key), known.data(), calendar.data(), out.data());
      });
  bind_keys(type);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native parts of lamina.streaming; private.";
  m.attr("LONGEST_KEY") = Size(KeyedStates::kLongestKey);
  m.def("runnable_units", &runnable_step_units, "Units that this machine can run, fastest first.");
  nb::class_<Model>(m, "Model", "A network packed for one instruction set.")
      .def("__init__", [](Model* self, int storage, const std::string& unit) { new (self) Model(static_cast<Storage>(storage), unit); })
      .def("embed", [](Model& s, nb::object w, nb::object b) { s.embed(given(w), given(b)); })
      .def("layer",
           [](Model& s, int cell, nb::object w, nb::object r, nb::object b, nb::object c, nb::list extra, float zoneout,
              nb::object gain, nb::object shift, int joint, nb::object project, nb::object gate) {
             GivenLayer layer{static_cast<lamina::Cell>(cell), given(w), given(r), given(b), given(c), {}, zoneout,
                              given(gain), given(shift), static_cast<Joint>(joint), given(project), given(gate)};
             for (nb::handle each : extra) layer.extra.push_back(given(nb::borrow(each)));
             s.layer(layer);
           },
           nb::arg("cell"), nb::arg("w"), nb::arg("r"), nb::arg("b").none(), nb::arg("c").none(), nb::arg("extra"), nb::arg("zoneout"),
           nb::arg("gain").none(), nb::arg("shift").none(), nb::arg("joint"), nb::arg("project").none(), nb::arg("gate").none())
      .def("final_norm", [](Model& s, nb::object gain, nb::object shift) { s.final_norm(given(gain), given(shift)); })
      .def("read",
           [](Model& s, int pool, nb::object key, nb::object bias, nb::object query) {
             s.read(static_cast<Pool>(pool), given(key), given(bias), given(query));
           },
           nb::arg("pool"), nb::arg("key").none(), nb::arg("bias").none(), nb::arg("query").none())
      .def("head", [](Model& s, nb::object w, nb::object b) { s.head(given(w), given(b)); }, nb::arg("w"), nb::arg("b").none())
      .def("finish", &Model::finish)
      .def("read_weights",
           [](const Model& s, int rounds) {
             float sum = 0;
             for (int i = 0; i < rounds; ++i) sum += s.unit().read(s.network());
             return sum;
           },
           "Read every recurrent weight so many times: a limit that no step can pass.")
      .def_prop_ro("unit", [](const Model& s) { return std::string(s.unit().name); })
      .def_prop_ro("outputs", [](const Model& s) { return s.network().outputs; })
      .def_prop_ro("state_bytes", [](const Model& s) { return s.network().state_bytes; })
      .def_prop_ro("weight_bytes", &Model::weight_bytes)
      .def_prop_ro("multiplications", &Model::multiplications);
  nb::class_<Session> session(m, "Session", "Steps for rows with keys.");
  session
      .def(nb::init<nb::object, Size, std::vector<double>, std::vector<double>, std::vector<Size>, bool, nb::object>())
      .def("step", &Session::step, nb::arg("x").none(), nb::arg("key").none())
      .def("peek", &Session::peek, nb::arg("x").none(), nb::arg("key").none())
      .def("step_many", &Session::step_many, nb::arg("x").none(), nb::arg("keys").none());
  bind_keys(session);
  bind_forecasts(m);
}
