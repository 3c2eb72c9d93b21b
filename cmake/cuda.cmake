# Looks for a CUDA compiler: the one that is named (CUDACXX, CMAKE_CUDA_COMPILER), a toolkit's own before a wrapper on
# PATH, or the one pip installs (nvidia-cuda-nvcc). Sets GSRECON_HAS_CUDA and what the kernels are compiled for.
set(GSRECON_HAS_CUDA OFF)
if(GSRECON_CUDA STREQUAL "OFF")
  message(STATUS "CUDA kernels: switched off")
  return()
endif()

execute_process(
  COMMAND "${Python_EXECUTABLE}" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])"
  OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE GSRECON_SITE_PACKAGES)
file(GLOB GSRECON_PIP_CUDA "${GSRECON_SITE_PACKAGES}/nvidia/cu*")
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(GSRECON_NVCC nvcc
    HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda/bin PATH_SUFFIXES bin NO_DEFAULT_PATH)
  find_program(GSRECON_NVCC nvcc PATHS ${GSRECON_PIP_CUDA} PATH_SUFFIXES bin)
  if(GSRECON_NVCC)
    set(CMAKE_CUDA_COMPILER "${GSRECON_NVCC}")
  endif()
endif()

# The kernels' real architectures are set below; this one only lets CMake try the compiler.
set(CMAKE_CUDA_ARCHITECTURES 75)
if(GSRECON_PIP_CUDA AND CMAKE_CUDA_COMPILER MATCHES "/nvidia/cu[0-9]+/")
  list(GET GSRECON_PIP_CUDA 0 GSRECON_PIP_CUDA)
  link_directories("${GSRECON_PIP_CUDA}/lib") # not where nvcc looks by itself
  set(CMAKE_CUDA_FLAGS "-L${GSRECON_PIP_CUDA}/lib")
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(GSRECON_CUDA STREQUAL "ON")
    message(FATAL_ERROR "GSRECON_CUDA=ON, but no CUDA compiler works here: install a toolkit (nvcc 12 or newer) or "
                        "name its nvcc with CUDACXX")
  endif()
  message(STATUS "CUDA kernels: no CUDA compiler found; building for the CPU alone")
  return()
endif()

set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static) # so that the module loads where there is no CUDA
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION} is too old (12 or newer); building for the CPU alone")
  return()
endif()

# Machine code for every generation, which also runs on the later models of the same one, and PTX for those to come.
if(GSRECON_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "${GSRECON_CUDA_ARCHITECTURES}")
elseif(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
else()
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90 100-real 120)
endif()
set(GSRECON_HAS_CUDA ON)
message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
