# Lets the unmodified ament CMakeLists.txt build against ROS 2 wheels: pip's CMAKE_PROJECT_INCLUDE.
# A workspace built with colcon never reads it.

if(NOT Python3_EXECUTABLE)
  message(FATAL_ERROR
    "got no Python3_EXECUTABLE, expected the environment's Python; build with pip or pass "
    "-DPython3_EXECUTABLE=<environment>/bin/python")
endif()

execute_process(
  COMMAND "${Python3_EXECUTABLE}" -c
    "import sys, sysconfig, numpy; print(sys.prefix, sysconfig.get_paths()['include'], numpy.get_include(), sep=';', end='')"
  OUTPUT_VARIABLE _environment
  COMMAND_ERROR_IS_FATAL ANY)
list(GET _environment 0 _environment_prefix)
list(SUBLIST _environment 1 2 _environment_includes)

# What `source setup.bash` would say: the wheels install their shares under the environment's prefix.
list(PREPEND CMAKE_PREFIX_PATH "${_environment_prefix}")
set(ENV{AMENT_PREFIX_PATH} "${_environment_prefix}")

# The imported targets of the wheels name the Python headers of the machine that built the wheels.
# Put this environment's in their place, after every find_package of the project has run.
function(_use_own_python_headers)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    if(NOT _target MATCHES "__rosidl_generator_py$")
      continue()
    endif()
    get_target_property(_includes ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT _includes)
      continue()
    endif()
    list(FILTER _includes EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${_target} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${_includes};${_environment_includes}")
  endforeach()
endfunction()
cmake_language(DEFER CALL _use_own_python_headers)
